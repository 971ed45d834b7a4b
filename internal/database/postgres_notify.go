package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenCheck is how often a connection that hears nothing is asked whether it is there.
const listenCheck = 30 * time.Second

// notify is a NOTIFY: the function pg_notify is taken from everybody.
func (c *postgresConn) notify(ctx context.Context, channel, text string) error {
	sql := fmt.Sprintf("NOTIFY %s, '%s'", postgresDialect{}.quote(channel), strings.ReplaceAll(text, "'", "''"))
	_, err := c.exec(ctx, sql)
	if isLost(err) && !c.tx && ended(ctx) == nil { // the server may have gone while nobody looked
		if err := c.renew(ctx); err != nil {
			return err
		}
		_, err = c.exec(ctx, sql)
	}
	if err != nil && c.tx {
		c.rollback()
	}
	return c.engine.fail(ctx, err, "the notification", false)
}

func (e *postgres) listen(ctx context.Context, channel string, ready func(), heard func(text string)) error {
	cfg, err := e.cfg.connConfig()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return e.openError(err)
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(last) // nothing is on its way
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+postgresDialect{}.quote(channel)); err != nil {
		return fmt.Errorf("database: listen on %s: %w", e.where, err)
	}
	ready()
	for {
		wait, cancel := context.WithTimeout(ctx, listenCheck)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			check, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(check)
			cancel()
			if err != nil {
				return fmt.Errorf("database: listen on %s: %w", e.where, err)
			}
		default:
			return fmt.Errorf("database: listen on %s: %w", e.where, err)
		}
	}
}
