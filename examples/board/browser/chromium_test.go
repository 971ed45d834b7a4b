//go:build !wasip1

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/odac-run/odachost/internal/testkit"
)

// patience bounds what must come; it is no measure.
const patience = 20 * time.Second

// newChromium starts a browser without windows. Where there is none and none can be installed, the test is skipped.
func newChromium(t *testing.T) context.Context {
	t.Helper()
	program := testkit.Need(t, "chromium")
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, // root has no sandbox, and pages are ours
		chromedp.Flag("lang", "en-US"), chromedp.Flag("font-render-hinting", "none"))...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("end chromium: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// tab is a page that somebody has open. What its console complains about fails the test.
type tab struct {
	t     *testing.T
	ctx   context.Context
	close func()

	mu       sync.Mutex
	problems []string
}

// newTab opens a tab of a visitor who was never here.
func newTab(t *testing.T, browser context.Context, url string, steps ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	p := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	p.close = sync.OnceFunc(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			t.Errorf("the console of %s: %s", url, problem)
		}
	})
	t.Cleanup(p.close)
	if err := chromedp.Do(ctx); err != nil { // not under the patience of do: the tab would end with it
		t.Fatalf("open a tab: %v", err)
	}
	p.do(append(steps, chromedp.Navigate(url))...)
	return p
}

// listen collects errors, warnings, exceptions and violations of the Content-Security-Policy.
func (p *tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		problem = "a call of console." + string(e.Type)
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelError && e.Entry.Level != log.EntryLevelWarning {
			return
		}
		problem = e.Entry.Text + " (" + e.Entry.URL + ")"
	default:
		return
	}
	if strings.Contains(problem, "WebSocket") && strings.Contains(problem, "ERR_CONNECTION_REFUSED") {
		return // the server was down, and the page tried
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// forgive takes back complaints that are meant to be.
func (p *tab) forgive(text string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.problems[:0]
	for _, problem := range p.problems {
		if !strings.Contains(problem, text) {
			kept = append(kept, problem)
		}
	}
	if len(kept) == len(p.problems) {
		p.t.Errorf("the console did not say %q", text)
	}
	p.problems = kept
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until a JavaScript expression is true.
func (p *tab) until(expression string, args ...any) {
	p.t.Helper()
	expression = script(expression, args...)
	defer func() {
		if p.t.Failed() {
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText")) // what there is
			p.t.Logf("the page reads:\n%s", text)
		}
	}()
	testkit.Eventually(p.t, expression, func() bool {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && ok // an error: the next page is on its way
	})
}

// script fills in values, as JavaScript writes them.
func script(expression string, args ...any) string {
	for i, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			panic(err) // a test's own value
		}
		args[i] = text
	}
	return fmt.Sprintf(expression, args...)
}

// shows waits until some element has a text.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.until(`[...document.querySelectorAll(%s)].some(e => e.textContent.includes(%s))`, selector, text)
}

// write fills in the form by its keys and presses its button.
func (p *tab) write(name, text string) {
	p.t.Helper()
	p.until(`(document.querySelector("#name").value = "") === ""`)
	p.do(
		chromedp.SendKeys(chromedp.CSS("#name"), name),
		chromedp.SendKeys(chromedp.CSS("#text"), text),
		chromedp.Click(chromedp.CSS("form button")),
	)
}

// mark leaves a sign in the page, and unmoved tells whether it is still there: the page was not loaded again.

func (p *tab) mark() { p.t.Helper(); p.until(`window.marked = true`) }

func (p *tab) unmoved() {
	p.t.Helper()
	marked, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("window.marked === true"))
	if err != nil || !marked {
		p.t.Errorf("the page was loaded again (%v)", err)
	}
}

// withoutJavaScript is a visitor who has it switched off.
var withoutJavaScript = chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
	_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
})
