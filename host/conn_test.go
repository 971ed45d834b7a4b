package host

import (
	"context"
	"errors"
	"net"
	"testing"
)

// A server that takes a connection and says nothing holds up who wants it, until that one leaves, and nobody else.
func TestConnBesideOneThatHangs(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(t.Context(), Config{DataDir: t.TempDir(), CacheDir: t.TempDir(), Databases: map[string]DatabaseConfig{
		"default": {}, "hole": {URL: "postgres://x:y@" + hole.Addr().String() + "/z?sslmode=disable"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan net.Conn, 1)
	go func() {
		c, err := hole.Accept()
		if err != nil {
			t.Error(err)
		}
		held <- c
	}()
	ctx, leave := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := h.tenant(DefaultTenant).conn(ctx, "hole")
			waiting <- err
		}()
	}
	c := <-held
	if _, err := h.tenant(DefaultTenant).conn(t.Context(), "default"); err != nil {
		t.Error(err)
	}
	leave()
	for range 2 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
	}
	if err := errors.Join(hole.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, err := h.tenant(DefaultTenant).conn(t.Context(), "hole"); err == nil {
		t.Error("there is a connection to nothing")
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
