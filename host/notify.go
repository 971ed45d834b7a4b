package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/plugins"
)

// Notifications: what a plugin says on a channel of its tenant is an event for each plugin of the tenant that listens. On PostgreSQL the server
// carries it, to the other hosts too; elsewhere it stays in this process.

// channel is one of a tenant's.
type channel struct{ conn, name string }

// maxNotes is how many notifications one transaction may hold.
const maxNotes = 1000

func dbNotify(c *call, req, resp []byte) ([]byte, error) {
	var in abi.Notify
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	if err := c.mayNotify(&in); err != nil {
		return nil, err
	}
	conn, err := c.rev.tenant.conn(c.context(), in.Conn)
	if err != nil {
		return nil, err
	}
	said := abi.Notification{Conn: conn.name, Channel: in.Channel, Payload: in.Payload}
	if in.Tx == 0 {
		return resp, conn.notify(c.context(), c.rev, said)
	}
	tx, err := c.txOn(in.Tx, conn)
	if err != nil {
		return nil, err
	}
	if len(tx.root.notes) >= maxNotes {
		return nil, abi.NewError(abi.ErrnoLimit, fmt.Sprintf("a transaction holds at most %d notifications", maxNotes))
	}
	tx.root.notes = append(tx.root.notes, note{said, tx})
	return resp, nil
}

// note is what a transaction holds until it commits, and where it was said: it goes if that is rolled back.
type note struct {
	abi.Notification
	in *openTx
}

// unsay forgets what was said in a savepoint that is rolled back, and in those within.
func (tx *openTx) unsay() {
	tx.root.notes = slices.DeleteFunc(tx.root.notes, func(n note) bool {
		at := n.in
		for at != nil && at != tx {
			at = at.parent
		}
		return at == tx
	})
}

func (c *call) mayNotify(in *abi.Notify) error {
	if err := c.rev.grants.Channel(in.Channel, plugins.Notify); err != nil {
		return abi.NewError(abi.ErrnoDenied, err.Error())
	}
	switch {
	case len(in.Payload) > abi.MaxPayloadBytes:
		return abi.NewError(abi.ErrnoTooLarge, fmt.Sprintf("the payload has %d bytes, at most %d: put it into a table and notify its key", len(in.Payload), abi.MaxPayloadBytes))
	case !utf8.ValidString(in.Payload) || strings.Contains(in.Payload, "\x00"):
		return invalid("a payload is a text: UTF-8 without a zero byte; encode bytes as base64")
	}
	return nil
}

// notify says it to all who listen: through the server where it can.
func (c *connection) notify(ctx context.Context, rev *revision, n abi.Notification) error {
	on := c.db.Channel()
	if on == "" {
		c.host.tenant(c.tenant).deliver(n)
		return nil
	}
	db, err := c.as(rev)
	if err != nil {
		return err
	}
	return db.Notify(ctx, on, carried(n))
}

// carried is a notification as the server carries it, and heard the reverse.
func carried(n abi.Notification) string { return n.Channel + "\n" + n.Payload }

func heard(conn, text string) abi.Notification {
	name, payload, _ := strings.Cut(text, "\n")
	return abi.Notification{Conn: conn, Channel: name, Payload: payload}
}

// speak says what a transaction holds, before it commits where the server waits for that, else after.
func (tx *openTx) speak(ctx context.Context, committed bool) error {
	on := tx.conn.db.Channel()
	if (on == "") != committed {
		return nil
	}
	for _, n := range tx.notes {
		if on == "" {
			tx.conn.host.tenant(tx.conn.tenant).deliver(n.Notification)
		} else if err := tx.Notify(ctx, on, carried(n.Notification)); err != nil {
			return err
		}
	}
	return nil
}

// listen puts those channels that next (nil: none) listens to in the place of those of old.
func (t *tenant) listen(d *deployment, next *revision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ch, list := range t.listeners {
		if list = slices.DeleteFunc(slices.Clone(list), func(o *deployment) bool { return o == d }); len(list) == 0 {
			delete(t.listeners, ch)
		} else {
			t.listeners[ch] = list
		}
	}
	if next != nil {
		for _, c := range next.registration.Channels {
			ch := channel{c.Conn, c.Name}
			or(&ch.conn, defaultConn)
			t.listeners[ch] = append(t.listeners[ch], d)
		}
	}
	needed := map[string]bool{}
	for ch := range t.listeners {
		needed[ch.conn] = true
	}
	for conn, cancel := range t.hearing {
		if !needed[conn] {
			cancel()
			delete(t.hearing, conn)
		}
	}
	for conn := range needed {
		if t.hearing[conn] == nil {
			ctx, cancel := context.WithCancel(t.host.life)
			t.hearing[conn] = cancel
			t.host.background.Go(func() { t.hear(ctx, conn) })
		}
	}
}

const (
	// hearAgain is how soon a lost connection is made again, at first and at the latest.
	hearAgain    = 100 * time.Millisecond
	maxHearAgain = 10 * time.Second
)

// hear listens on a server until ctx ends. What is said while the connection is lost is not heard.
func (t *tenant) hear(ctx context.Context, name string) {
	log := t.host.log.With("tenant", t.name, "database", name)
	wait := hearAgain
	for {
		conn, err := t.conn(ctx, name)
		if err == nil {
			on := conn.db.Channel()
			if on == "" {
				return
			}
			lost := wait > hearAgain
			err = conn.db.Listen(ctx, on, func() {
				if wait = hearAgain; lost {
					log.Info("notifications are heard again")
				}
			}, func(text string) { t.deliver(heard(name, text)) })
		}
		if ctx.Err() != nil {
			return
		}
		if wait == hearAgain {
			log.Warn("notifications are not heard: the connection is made again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, maxHearAgain)
	}
}

// deliver gives a notification to each plugin that listens.
func (t *tenant) deliver(n abi.Notification) {
	t.mu.Lock()
	list := t.listeners[channel{n.Conn, n.Channel}]
	t.mu.Unlock()
	for _, d := range list {
		d.inbox.put(d, t.host, n)
	}
}

// inbox is what a deployment was told and has not handled yet: one after the other, in the order in which it was said.
type inbox struct {
	mu      sync.Mutex
	list    []abi.Notification
	busy    bool // somebody hands them over
	dropped int
}

// maxInbox bounds it. A plugin that does not keep up loses what is said meanwhile, and nobody waits for it.
const maxInbox = 1000

func (b *inbox) put(d *deployment, h *Host, n abi.Notification) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) >= maxInbox {
		b.dropped++
		return
	}
	b.list = append(b.list, n)
	if !b.busy {
		b.busy = true
		h.background.Go(func() { b.handOver(d, h) })
	}
}

func (b *inbox) take() (n abi.Notification, dropped int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) == 0 {
		b.list, b.busy = nil, false
		dropped, b.dropped = b.dropped, 0
		return n, dropped, false
	}
	n = b.list[0]
	b.list = b.list[1:]
	return n, 0, true
}

func (b *inbox) handOver(d *deployment, h *Host) {
	for {
		n, dropped, ok := b.take()
		if dropped > 0 {
			h.log.Warn("notifications were dropped: the plugin did not keep up", "plugin", d.key.String(), "dropped", dropped)
		}
		if !ok {
			return
		}
		if h.life.Err() == nil {
			d.runNotification(n)
		}
	}
}

// runNotification brings one to whichever revision serves now, if that listens.
func (d *deployment) runNotification(n abi.Notification) {
	rev := d.acquire()
	if rev == nil {
		return
	}
	defer rev.release()
	if n.Conn == defaultConn {
		n.Conn = ""
	}
	if err := rev.event(rev.host.life, abi.EventNotification, n.Channel, &n, nil, false); err != nil {
		rev.log.Error("notification failed", "channel", n.Channel, "error", err)
	}
}
