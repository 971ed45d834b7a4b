package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

// socket is a WebSocket whose messages are read as they come, so that pings are answered.
type socket struct {
	conn *websocket.Conn
	text chan string // closed at the end
	err  error       // after that
}

func (s *socket) read() {
	defer close(s.text)
	for {
		_, text, err := s.conn.Read(context.Background())
		if err != nil {
			s.err = err
			return
		}
		s.text <- string(text)
	}
}

// client keeps no connection and follows no redirect.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func ask(method, url, body string) (string, error) {
	ctx, cancel := within()
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text), errors.Join(err, resp.Body.Close())
}

func cmdCurl(ts *testscript.TestScript, neg bool, args []string) {
	method := http.MethodGet
	if len(args) > 2 && args[0] == "-X" {
		method, args = args[1], args[2:]
	}
	answer, err := ask(method, args[0], strings.Join(args[1:], " "))
	if neg != (err != nil) {
		ts.Fatalf("%s: %v %s", args[0], err, answer)
	}
	fmt.Fprint(ts.Stdout(), answer)
}

func cmdGet(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	ctx, cancel := within()
	defer cancel()
	err := retry(ctx, patience, func() (bool, error) {
		answer, err := ask(http.MethodGet, args[0], "")
		if pattern.MatchString(answer) {
			return true, nil
		}
		return false, fmt.Errorf("the last answer is %q (%w)", answer, err)
	})
	ts.Check(err)
}

func cmdInflight(ts *testscript.TestScript, _ bool, args []string) {
	answer := make(chan string, 1)
	worldOf(ts).answers[args[0]] = answer
	go func() {
		defer close(answer)
		text, err := ask(http.MethodGet, args[1], "")
		answer <- fmt.Sprint(text, err)
	}()
}

func cmdAnswer(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprint(ts.Stdout(), <-worldOf(ts).answers[args[0]])
}

func cmdSocket(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	c, resp, err := websocket.Dial(ctx, args[1], &websocket.DialOptions{HTTPClient: client})
	ts.Check(err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	s := &socket{conn: c, text: make(chan string, 16)}
	go s.read()
	worldOf(ts).sockets[args[0]] = s
}

func cmdSay(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	s := worldOf(ts).sockets[args[0]]
	ts.Check(s.conn.Write(ctx, websocket.MessageText, []byte(args[1])))
	select {
	case text, ok := <-s.text:
		if !ok {
			ts.Fatalf("the socket was closed: %v", s.err)
		}
		fmt.Fprintln(ts.Stdout(), text)
	case <-ctx.Done():
		ts.Fatalf("no answer")
	}
}

func cmdClosed(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	s := worldOf(ts).sockets[args[0]]
	for {
		select {
		case _, open := <-s.text:
			if !open {
				fmt.Fprintln(ts.Stdout(), int(websocket.CloseStatus(s.err)))
				return
			}
		case <-ctx.Done():
			ts.Fatalf("the socket is still open")
		}
	}
}
