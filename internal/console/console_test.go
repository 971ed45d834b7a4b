package console

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var durations = regexp.MustCompile(`[0-9.]+(ns|µs|ms|s)`)

func TestPlain(t *testing.T) {
	var out bytes.Buffer
	c := New(&out)
	s := c.Step("build %s", "board")
	c.Printf("a line\nand one more\n")
	s.Done("2.3 MB")
	s.Fail(errors.New("too late to fail"))
	c.Step("load \x1b[2Jboard").Fail(errors.New("no export\nodac_event\x07"))
	c.Table([]string{"PLUGIN", "VERSION", "STATE"}, [][]string{{"board", "1.2.0", "serving"}, {"hello"}, {"größer", "v", "x", "lost"}})
	c.Table([]string{"NOTHING"}, nil)
	testkit.Golden(t, "plain.txt", durations.ReplaceAll(out.Bytes(), []byte("TIME")))
}

// Where there is no terminal a step that takes long says so now and then, and no more after its end.
func TestPlainGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := New(&out).Step("build")
		time.Sleep(40 * time.Second)
		s.Done()
		time.Sleep(time.Minute)
		if want := "build ...\nbuild ... 15s\nbuild ... 30s\nok    build (40s)\n"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

// terminal is a console that believes it draws on a terminal of 30 columns.
func terminal(out *bytes.Buffer) *Console {
	return &Console{w: out, live: true, colour: true, width: func() int { return 30 }}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	c := terminal(&out)
	s := c.Step("a step with a name that is longer than the line")
	c.Printf("above")
	s.Done()
	s.Done()
	text := out.String()
	if !strings.HasSuffix(text, ")\n") || strings.Count(text, "ok") != 1 {
		t.Errorf("the end is not the last line, once: %q", text)
	}
	if !strings.Contains(text, "\r\x1b[Kabove\n") {
		t.Errorf("a line does not take the place of the running step: %q", text)
	}
	for frame := range strings.SplitSeq(text, "\r\x1b[K") {
		if plain := regexp.MustCompile(`\x1b\[[0-9]*m`).ReplaceAllString(frame, ""); !strings.Contains(plain, "\n") && len([]rune(plain)) >= 30 {
			t.Errorf("a running step wraps: %q", plain)
		}
	}
	if len(c.running) != 0 || c.drawn {
		t.Error("a step is still drawn after its end")
	}
}

func TestNoColour(t *testing.T) {
	var out bytes.Buffer
	c := terminal(&out)
	c.colour = false
	c.Step("step").Done()
	c.Table([]string{"HEAD"}, [][]string{{"cell"}})
	if strings.Contains(out.String(), "m") && regexp.MustCompile(`\x1b\[[0-9]+m`).MatchString(out.String()) {
		t.Errorf("coloured: %q", out.String())
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ✓ ü":           "plain ✓ ü",
		"\x1b]0;title\x07":    `\x1b]0;title\a`,
		"a\nb\tc":             "a b c",
		"evil\u202etxt.exe":   `evil\u202etxt.exe`,
		"bad \xff utf8\u0085": "bad \ufffd utf8" + `\u0085`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHammer(t *testing.T) {
	var out bytes.Buffer
	c := terminal(&out)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				s := c.Step("step")
				c.Printf("line")
				s.Done()
			}
		})
	}
	wg.Wait()
	if got := strings.Count(out.String(), "line\n"); got != 400 {
		t.Errorf("lines = %d, want 400", got)
	}
}
