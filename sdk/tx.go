package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// txAttempts is how often a transaction is run that loses against others.
const txAttempts = 4

// Transaction is a running transaction.
type Transaction struct {
	conn string
	id   uint32
}

// Tx runs fn in a transaction of the default connection, which is committed when fn returns nil and rolled back when it
// returns an error or panics. When the transaction lost against another ([Retry]) fn is run again, up to four times
// in all, so it changes nothing but the database. Queries go through it only when they are made with tx.DB.
func Tx(fn func(tx *Transaction) error) error { return On("").Tx(fn) }

// Tx runs fn in a transaction of the connection: see the function [Tx].
func (d Database) Tx(fn func(tx *Transaction) error) error {
	for attempt := 1; ; attempt++ {
		err := d.tx(fn)
		if !IsRetry(err) || attempt == txAttempts {
			return err
		}
	}
}

func (d Database) tx(fn func(tx *Transaction) error) (err error) {
	answer, err := hostCall(wire.DBBegin, &abi.Begin{Conn: d.conn})
	if err != nil {
		return err
	}
	var tx abi.Tx
	if err := decode(&tx, answer); err != nil {
		return err
	}
	done := false
	defer func() {
		if done {
			return
		}
		// fn failed or panics; what it says is worth more than what the rollback says.
		_, _ = hostCall(wire.DBRollback, tx)
	}()
	if err := fn(&Transaction{conn: d.conn, id: tx.ID}); err != nil {
		return err
	}
	done = true
	_, err = hostCall(wire.DBCommit, tx)
	return err
}

// DB starts a query that belongs to the transaction.
func (t *Transaction) DB(table string) Query {
	q := On(t.conn).DB(table)
	q.q.Tx = t.id
	return q
}
