package odac

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Statement is one statement of SQL text, for what a [Query] cannot say. It needs the grant db.raw, and stays within the tables and verbs that are
// granted. Nothing is filled in: neither nanoid columns nor created_at and updated_at.
type Statement struct{ q Query }

// SQL is a statement on the default connection, with "?" for each argument, or ":name" for those of one [Map].
//
//	odac.SQL("select title from posts where id = ?", id).First()
//	odac.SQL("select title from posts where author = :who", odac.Map{"who": 7}).All()
func SQL(text string, args ...any) Statement { return On("").SQL(text, args...) }

// SQL is a statement on the connection: see the function [SQL].
func (d Database) SQL(text string, args ...any) Statement {
	r := &rare{SQL: text}
	q := Query{q: common{Conn: d.conn}, rare: r, call: wire.DBQuery}
	if len(args) == 1 {
		if named, ok := args[0].(Map); ok {
			r.Names = slices.Sorted(maps.Keys(named))
			args = make([]any, 0, len(named))
			for _, name := range r.Names {
				args = append(args, named[name])
			}
		}
	}
	values, err := convert(args)
	if err != "" {
		q = q.fail("SQL: " + err)
	}
	r.Args = values
	return Statement{q}
}

// SQL is a statement in the transaction: see the function [SQL].
func (t *Transaction) SQL(text string, args ...any) Statement {
	s := On(t.conn).SQL(text, args...)
	s.q.q.Tx = t.id
	return s
}

// Cache reads through the cache, as [Query.Cache] does. What calls for the time or for chance is never cached.
func (s Statement) Cache(ttl time.Duration) Statement { return Statement{s.q.Cache(ttl)} }

// Exec runs the statement.
func (s Statement) Exec() (Result, error) { return s.q.run() }

// All runs the statement and gives its rows. None is not an error.
func (s Statement) All() (Rows, error) {
	r, err := s.q.run()
	return r.Rows, err
}

// First runs the statement and gives its first row. It is a [NotFound] error when there is none.
func (s Statement) First() (Row, error) {
	r, err := s.q.run()
	if err != nil {
		return Row{}, err
	}
	if len(r.Rows) == 0 {
		return Row{}, newError(NotFound, "no such row")
	}
	return r.Rows[0], nil
}

// Stream reads the rows one by one, as [Query.Stream] does.
func (s Statement) Stream() iter.Seq2[Row, error] { return s.q.stream() }
