package ws

import (
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// reset ends a TCP connection with RST.
func (p *peer) reset() {
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	_ = p.Close()
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // no such count on this system: only goroutines are compared
	}
	return len(entries)
}

// TestHostileClients plays each hostile client many times at once. The process lives, each Open has one Close, and descriptors
// and goroutines return to where they were.
func TestHostileClients(t *testing.T) {
	var opens, closes atomic.Int64
	block := make(chan struct{})
	s := serve(t, Config{MaxConnsPerAddress: -1, MaxRoomsPerConn: -1}, Options{Handler: funcs{
		open: func(*Conn) { opens.Add(1) },
		message: func(c *Conn, m Message) {
			switch string(m.Data) {
			case "panic":
				panic("handler")
			case "nil":
				var none *Conn
				_ = none.ID()
			case "exit":
				runtime.Goexit()
			case "block":
				<-block
			case "rooms":
				for i := range 10_000 {
					_ = c.Join(Room{Name: c.ID() + itoa(i)})
				}
			case "big":
				_ = c.Send(Message{Binary, make([]byte, 900_000)})
			}
			_ = c.Send(m)
		},
		close: func(c *Conn, _ int, _ string) {
			closes.Add(1)
			if c.Rooms() == nil {
				panic("in Close")
			}
			if len(c.Rooms()) > 0 {
				panic("in Close, with rooms")
			}
		},
	}})
	clients := map[string]func(*server){
		"RST before the request": func(s *server) { s.raw().reset() },
		"RST inside the request": func(s *server) { p := s.raw(); p.send([]byte(goodRequest)); p.reset() },
		"RST right after the request": func(s *server) {
			p := s.raw()
			p.send([]byte(goodRequest + "\r\n"))
			p.reset()
		},
		"RST after a refusal": func(s *server) {
			p := s.raw()
			p.send([]byte(strings.Replace(goodRequest, "13", "8", 1) + "\r\n"))
			p.response()
			p.reset()
		},
		"RST when open":           func(s *server) { s.upgraded("").reset() },
		"RST inside a header":     func(s *server) { p := s.upgraded(""); p.send([]byte{finText}); p.reset() },
		"RST inside a payload":    func(s *server) { p := s.upgraded(""); p.send(frame(finText, "abcdef")[:8]); p.reset() },
		"RST between fragments":   func(s *server) { p := s.upgraded(""); p.send(frame(text, "ab")); p.reset() },
		"RST after a message":     func(s *server) { p := s.upgraded(""); p.send(frame(finText, "a")); p.reset() },
		"RST while it is written": func(s *server) { p := s.upgraded(""); p.send(frame(finText, "big")); p.reset() },
		"RST after a close":       func(s *server) { p := s.upgraded(""); p.send(bye); p.reset() },
		"RST after a violation":   func(s *server) { p := s.upgraded(""); p.send([]byte{0xff, 0xff}); p.reset() },
		"RST inside the closing": func(s *server) {
			p := s.upgraded("")
			p.send(frame(closeNow, closePayload(1000, "")))
			p.expect("88 1000")
			p.reset()
		},
		"half-open, then gone": func(s *server) {
			p := s.upgraded("")
			_ = p.Conn.(*net.TCPConn).CloseWrite()
			p.expect("EOF")
		},
		"violation, then silence": func(s *server) { p := s.upgraded(""); p.send([]byte{finText, 1}); p.expect("88 1002", "EOF") },
		"ten thousand rooms":      func(s *server) { p := s.upgraded(""); p.send(frame(finText, "rooms")); p.expect("81 rooms") },
		"panic":                   func(s *server) { p := s.upgraded(""); p.send(frame(finText, "panic")); p.expect("88 1011", "EOF") },
		"nil pointer":             func(s *server) { p := s.upgraded(""); p.send(frame(finText, "nil")); p.expect("88 1011", "EOF") },
		"goexit":                  func(s *server) { p := s.upgraded(""); p.send(frame(finText, "exit")); p.expect("88 1011", "EOF") },
		"panic with more to come": func(s *server) {
			p := s.upgraded("")
			p.send(join(frame(finText, "a"), frame(finText, "panic"), frame(finText, "late"), bye))
			p.expect("81 a")
			p.reset()
		},
		"gone while its handler blocks": func(s *server) { p := s.upgraded(""); p.send(frame(finText, "block")); p.reset() },
		"pings without end": func(s *server) {
			p := s.upgraded("")
			for range 1000 {
				if _, err := p.Write(frame(finPing, strings.Repeat("p", 125))); err != nil {
					break
				}
			}
			p.reset()
		},
		"one byte at a time": func(s *server) {
			p := s.upgraded("")
			for _, b := range frame(finText, "slow") {
				p.send([]byte{b})
			}
			p.expect("81 slow")
		},
		"a large message is promised": func(s *server) {
			p := s.upgraded("")
			p.send([]byte{finBinary, 0x80 | 127, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 0, 0, 0, 0})
			p.reset()
		},
	}
	fds, goroutines := descriptors(), runtime.NumGoroutine()
	for range 3 {
		var wg sync.WaitGroup
		for name, play := range clients {
			wg.Go(func() {
				for range 5 {
					t.Run(name, func(t *testing.T) { // gives each client its own clean-up
						play(&server{t, s.hub, s.http, s.addr})
					})
				}
			})
		}
		wg.Wait()
	}
	// The others are not disturbed by handlers that block.
	p := s.upgraded("")
	p.send(frame(finText, "hello"))
	p.expect("81 hello")
	_ = p.Close()
	close(block)
	s.http.CloseClientConnections()
	eventually(t, "all are gone", func() bool { st := s.hub.Stat(); return st.Conns == 0 && opens.Load() == closes.Load() })
	eventually(t, "goroutines and descriptors are back", func() bool {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		return runtime.NumGoroutine() <= goroutines && descriptors() <= fds
	})
	if opens.Load() == 0 || s.hub.Stat().Panics == 0 {
		t.Errorf("%d opens, %d panics: the test proves nothing", opens.Load(), s.hub.Stat().Panics)
	}
}

// TestBlockedHandlerDisturbsNobody: a socket that is open stays so, and others are served.
func TestBlockedHandlerDisturbsNobody(t *testing.T) {
	gate := make(chan struct{})
	s := serve(t, Config{}, Options{Handler: funcs{message: func(c *Conn, m Message) {
		if string(m.Data) == "block" {
			<-gate
		}
		_ = c.Send(m)
	}}})
	blocked, other := s.upgraded(""), s.upgraded("")
	blocked.send(join(frame(finText, "block"), frame(finPing, "alive")))
	blocked.expect("8a alive")
	other.send(frame(finText, "x"))
	other.expect("81 x")
	close(gate)
	blocked.expect("81 block")
}

// TestHammer joins, leaves, broadcasts, sends and closes from everywhere at once.
func TestHammer(t *testing.T) {
	var opens, closes atomic.Int64
	s := serve(t, Config{MaxConnsPerAddress: -1}, Options{Handler: funcs{
		open: func(c *Conn) { opens.Add(1); _ = c.Join(Room{Name: "all"}) },
		message: func(c *Conn, m Message) {
			_, _ = scopeOf(c).Broadcast(Room{Name: "all"}, m, c.ID())
			_ = c.SetData(m.Data)
		},
		close: func(c *Conn, _ int, _ string) {
			closes.Add(1)
			_, _ = scopeOf(c).Broadcast(Room{}, Message{Text, []byte("left")})
		},
	}})
	var clients, workers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 4 {
		workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				for _, c := range s.scope().Conns() {
					room := Room{Name: itoa((i + w) % 5)}
					switch (i + w) % 6 {
					case 0:
						_ = c.Join(room)
					case 1:
						c.Leave(room)
					case 2:
						_ = c.Send(Message{Text, []byte("direct")})
					case 3:
						_, _ = s.scope().Broadcast(room, Message{Binary, []byte("room")})
					case 4:
						_, _, _ = c.Rooms(), c.Data(), c.State()
					case 5:
						if i%50 == 0 {
							_ = c.Close(4000, "enough")
						}
					}
				}
				_ = s.hub.Stat()
				_ = s.scope().Rooms()
			}
		})
	}
	for range 8 {
		clients.Go(func() {
			for range 20 {
				p := s.upgraded("")
				done := make(chan struct{})
				go func() {
					defer close(done)
					for {
						if _, _, err := p.readFrame(); err != nil {
							return
						}
					}
				}()
				for range 20 {
					if _, err := p.Write(frame(finText, "m")); err != nil {
						break
					}
				}
				_ = p.Close()
				<-done
			}
		})
	}
	clients.Wait()
	close(stop)
	workers.Wait()
	s.hub.Close()
	if opens.Load() != 160 || closes.Load() != 160 {
		t.Errorf("%d opens, %d closes, want 160 of each", opens.Load(), closes.Load())
	}
}
