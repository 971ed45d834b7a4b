package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// txAttempts is how often a transaction is run that loses against others, unless [Attempts] says otherwise.
const txAttempts = 4

// Transaction is a running transaction.
type Transaction struct {
	conn string
	id   uint32
}

// TxOption says what kind of transaction [Tx] runs.
type TxOption func(*txConfig)

type txConfig struct {
	begin    abi.Begin
	attempts int
}

// The levels of isolation, for [Isolated]. A database may give more than was asked for: SQLite's transactions are serializable.
const (
	ReadCommitted  = abi.IsolationReadCommitted
	RepeatableRead = abi.IsolationRepeatableRead
	Serializable   = abi.IsolationSerializable
)

// Isolated asks for a level of isolation; without it the transaction has the database's own.
func Isolated(level abi.Isolation) TxOption { return func(c *txConfig) { c.begin.Isolation = level } }

// ReadOnly makes a transaction that reads: all of it sees one moment, and it waits for no writer.
func ReadOnly() TxOption { return func(c *txConfig) { c.begin.ReadOnly = true } }

// Attempts is how often in all a transaction is run that loses against others, 1 or more.
func Attempts(n int) TxOption { return func(c *txConfig) { c.attempts = max(1, n) } }

// Tx runs fn in a transaction of the default connection, which is committed when fn returns nil and rolled back when it
// returns an error or panics. When the transaction lost against another ([Retry]) fn is run again, up to four times
// in all, so it changes nothing but the database. Queries go through it only when they are made with tx.DB.
func Tx(fn func(tx *Transaction) error, options ...TxOption) error { return On("").Tx(fn, options...) }

// Tx runs fn in a transaction of the connection: see the function [Tx].
func (d Database) Tx(fn func(tx *Transaction) error, options ...TxOption) error {
	c := txConfig{begin: abi.Begin{Conn: d.conn}, attempts: txAttempts}
	for _, option := range options {
		option(&c)
	}
	for attempt := 1; ; attempt++ {
		err := c.run(fn)
		if !IsRetry(err) || attempt >= c.attempts {
			return err
		}
	}
}

// Tx runs fn in a savepoint of the transaction: when fn returns an error or panics, what it did is undone and the transaction goes on.
// While it runs, the transaction around it runs no statement.
func (t *Transaction) Tx(fn func(tx *Transaction) error) error {
	c := txConfig{begin: abi.Begin{Conn: t.conn, Parent: t.id}}
	return c.run(fn)
}

func (c *txConfig) run(fn func(tx *Transaction) error) (err error) {
	answer, err := hostCall(wire.DBBegin, &c.begin)
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
	if err := fn(&Transaction{conn: c.begin.Conn, id: tx.ID}); err != nil {
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

// From starts a query on the rows of another: see the function [From].
func (t *Transaction) From(sub Query, as string) Query {
	q := From(sub, as)
	q.q.Tx = t.id
	return q
}

// ForUpdate locks the rows that are read until the transaction ends: nobody else changes or locks them. It wants a query made with
// [Transaction.DB]. On SQLite, where a transaction that writes is alone, it changes nothing.
func (q Query) ForUpdate() Query {
	q.change().Lock = abi.LockUpdate
	return q
}

// ForShare is ForUpdate that lets others lock the rows for sharing too.
func (q Query) ForShare() Query {
	q.change().Lock = abi.LockShare
	return q
}

// SkipLocked leaves out rows that somebody else has locked.
func (q Query) SkipLocked() Query {
	q.change().Wait = abi.WaitSkip
	return q
}

// NoWait fails with [Busy] at a row that somebody else has locked.
func (q Query) NoWait() Query {
	q.change().Wait = abi.WaitError
	return q
}
