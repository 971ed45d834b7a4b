package ws

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	drainBatch = 64
	drainPause = 40 * time.Millisecond // at most, between batches
)

// Drain refuses further upgrades with 503 and closes all connections, in batches of 64 with a random pause of up to 40 ms
// between them, so that the peers do not all come back at once. It waits until all Close handlers have returned. When ctx
// ends first, what is left is closed hard and the error wraps the context's. Draining cannot be undone.
func (h *Hub) Drain(ctx context.Context, code int, reason string) error {
	if !validCode(code) {
		return ErrInvalidCode
	}
	reason = cutReason(strings.ToValidUTF8(reason, "?"))
	h.refuseNew(goodbye{code, reason})
	for conns := h.all(); len(conns) > 0; conns = h.all() {
		if err := closeAll(ctx, conns, code, reason); err != nil {
			for _, c := range h.all() {
				c.abort("the server went down")
			}
			return err
		}
	}
	return nil
}

// CloseAll closes the scope's connections as [Hub.Drain] does, but new ones may come meanwhile. When ctx ends first, what
// is left stays open.
func (s *Scope) CloseAll(ctx context.Context, code int, reason string) error {
	return closeAll(ctx, s.Conns(), code, reason)
}

// Close closes all connections with 1001, hard after 2 s, refuses new ones, and returns when all Close handlers have
// returned and all goroutines of the hub are gone. A second Close waits for the first.
func (h *Hub) Close() {
	h.closeOnce.Do(func() {
		bye := goodbye{GoingAway, "the server is going down"}
		h.refuseNew(bye)
		for _, c := range h.all() {
			_ = c.shut(bye.code, bye.reason) // closing already: what was wanted
		}
		h.live.Wait()
		h.wheel.close()
	})
}

func (h *Hub) all() []*Conn {
	h.mu.RLock()
	defer h.mu.RUnlock()
	conns := make([]*Conn, 0, h.conns)
	for _, sc := range h.scopes {
		sc.mu.RLock()
		for _, c := range sc.conns {
			conns = append(conns, c)
		}
		sc.mu.RUnlock()
	}
	return conns
}

// closeAll closes in batches and waits for the handlers.
func closeAll(ctx context.Context, conns []*Conn, code int, reason string) error {
	if !validCode(code) {
		return ErrInvalidCode
	}
	reason = cutReason(strings.ToValidUTF8(reason, "?"))
	for batch := range slices.Chunk(conns, drainBatch) {
		for _, c := range batch {
			_ = c.shut(code, reason) // closing already: what was wanted
		}
		if err := wait(ctx, rand.N(drainPause)); err != nil {
			return fmt.Errorf("ws: drain: %w", err)
		}
	}
	for _, c := range conns {
		select {
		case <-c.finished():
		case <-ctx.Done():
			return fmt.Errorf("ws: drain: wait for handlers: %w", ctx.Err())
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
