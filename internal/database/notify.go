package database

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/odac-run/odachost/abi"
)

// notifier is a session of a server that carries texts to who listens, when the transaction commits.
type notifier interface {
	notify(ctx context.Context, channel, text string) error
}

// listener is an engine whose sessions are notifiers.
type listener interface {
	// listen calls heard with each text on the channel, ready before the first, until ctx ends or the connection does.
	listen(ctx context.Context, channel string, ready func(), heard func(text string)) error
}

// Channel is the channel of the server on which this user's notifications go; "" where the server carries none. Who does not know the
// user's password cannot guess the name, and no catalog has it: so nobody else listens, or speaks, there.
func (db *DB) Channel() string {
	if _, ok := db.engine.(listener); !ok {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(db.cfg.Password))
	mac.Write([]byte("channel " + db.cfg.User + " " + db.cfg.Schema))
	return "odac_" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// Listen calls heard with each text that is said on the channel, one after the other, over a connection of its own; ready is called when it
// hears. It returns when ctx ends, db is closed, or the connection is lost.
func (db *DB) Listen(ctx context.Context, channel string, ready func(), heard func(text string)) error {
	l, ok := db.engine.(listener)
	if !ok {
		return failf(abi.ErrnoUnsupported, "%s carries no notifications", db.Version())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(db.ctx, cancel)
	defer stop()
	return l.listen(ctx, channel, ready, heard)
}

// Notify says a text of less than 8,000 bytes on the channel.
func (db *DB) Notify(ctx context.Context, channel, text string) error {
	s, err := db.engine.acquire(ctx, true)
	if err != nil {
		return err
	}
	defer s.release()
	return notify(ctx, s, channel, text)
}

// Notify is [DB.Notify] for when the transaction commits.
func (tx *Tx) Notify(ctx context.Context, channel, text string) error {
	root := tx.root
	if err := root.take(ctx); err != nil {
		return err
	}
	defer root.give()
	if err := notify(either{ctx, root.scope}, root.session, channel, text); err != nil {
		return root.lost(err)
	}
	return nil
}

func notify(ctx context.Context, s session, channel, text string) error {
	n, ok := s.(notifier)
	if !ok {
		return failf(abi.ErrnoUnsupported, "the database carries no notifications")
	}
	return n.notify(ctx, channel, text)
}
