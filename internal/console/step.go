package console

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Step is a piece of work that somebody waits for. It ends once, by [Step.Done] or [Step.Fail]; later ends do nothing, so that
// a deferred Fail is harmless.
type Step struct {
	c     *Console
	name  string
	start time.Time
	end   sync.Once
	stop  chan struct{} // closed at the end
	ended chan struct{} // closed when the drawing goroutine is gone
}

// Step starts a step. On a terminal it is drawn until it ends, by a goroutine that the end waits for; elsewhere one line says
// that it starts, and one every 15 s that it goes on.
func (c *Console) Step(format string, args ...any) *Step {
	s := &Step{c: c, name: Clean(fmt.Sprintf(format, args...)), start: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		c.running = append(c.running, s)
		c.drawLocked()
		go s.draw(frameEvery, c.drawLocked)
	} else {
		c.lineLocked(s.name + " ...")
		go s.draw(lineEvery, func() { c.lineLocked(s.name + " ... " + round(time.Since(s.start))) })
	}
	return s
}

func (s *Step) draw(every time.Duration, lineLocked func()) {
	defer close(s.ended)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.c.mu.Lock()
			lineLocked()
			s.c.mu.Unlock()
		case <-s.stop:
			return
		}
	}
}

// Done ends the step well. The detail, if there is one, says what came of it: "2.3 MB", "14 rows".
func (s *Step) Done(detail ...string) {
	s.finish(func() string {
		text := Clean(strings.Join(append([]string{s.name}, detail...), ", "))
		return s.c.paint(green, "ok") + "    " + text + " (" + round(time.Since(s.start)) + ")"
	})
}

// Fail ends the step with its error. Further lines of the error, such as a compiler's, are indented below the first.
func (s *Step) Fail(err error) {
	s.finish(func() string {
		return s.c.paint(red, "failed") + " " + s.name + ": " + strings.Join(cleanLines(fmt.Sprint(err)), "\n       ")
	})
}

func (s *Step) finish(line func() string) {
	s.end.Do(func() {
		close(s.stop)
		<-s.ended
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.c.running = slices.DeleteFunc(s.c.running, func(other *Step) bool { return other == s })
		s.c.lineLocked(line())
	})
}
