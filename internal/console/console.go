package console

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// frameEvery is how often a running step is drawn again.
const frameEvery = 100 * time.Millisecond

// lineEvery is how often a step that runs for long says so where there is no terminal.
const lineEvery = 15 * time.Second

// Console prints to one writer. It holds no resource of its own: there is nothing to close.
type Console struct {
	live   bool // a terminal that can draw over a line
	colour bool
	width  func() int

	mu      sync.Mutex
	w       io.Writer
	running []*Step // those that a terminal shows, oldest first; the last is drawn
	drawn   bool    // the last line on the terminal is a running step
}

// New is a console for w. It looks once whether w is a terminal.
func New(w io.Writer) *Console {
	c := &Console{w: w, width: func() int { return 80 }}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return c
	}
	c.live = true
	c.colour = os.Getenv("NO_COLOR") == ""
	c.width = func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 20 {
			return 80
		}
		return width
	}
	return c
}

// Printf prints a line, or several, above the steps that run. The last newline is added.
func (c *Console) Printf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range cleanLines(text) {
		c.lineLocked(line)
	}
}

// lineLocked prints a finished line, and draws the running step again below it. What cannot be printed is lost: a command does
// not fail because nobody reads along.
func (c *Console) lineLocked(text string) {
	if c.drawn {
		_, _ = io.WriteString(c.w, "\r\x1b[K") // see above
		c.drawn = false
	}
	_, _ = io.WriteString(c.w, text+"\n") // see above
	c.drawLocked()
}

// drawLocked draws the newest running step over the last line.
func (c *Console) drawLocked() {
	if !c.live {
		return
	}
	if c.drawn {
		_, _ = io.WriteString(c.w, "\r\x1b[K") // as in lineLocked
		c.drawn = false
	}
	if len(c.running) == 0 {
		return
	}
	s := c.running[len(c.running)-1]
	text := []rune(s.name + " " + round(time.Since(s.start)))
	if limit := c.width() - 3; len(text) > limit {
		text = text[:limit] // a line that wraps cannot be drawn over
	}
	frames := []string{"⠋", "⠙", "⠸", "⠴", "⠦", "⠇"}
	frame := frames[int(time.Since(s.start)/frameEvery)%len(frames)]
	_, _ = io.WriteString(c.w, c.paint(cyan, frame)+" "+string(text)) // as in lineLocked
	c.drawn = true
}

const (
	red   = "31"
	green = "32"
	cyan  = "36"
	bold  = "1"
)

func (c *Console) paint(colour, text string) string {
	if !c.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Clean makes control characters visible, so that text from outside cannot move the cursor, recolour or hide what follows.
// Newlines and tabs become spaces.
func Clean(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func cleanLines(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	return lines
}

// hidden is true for control and format characters, among them those that turn the direction of text.
func hidden(r rune) bool { return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) }

func round(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(100 * time.Millisecond).String()
	}
}
