package odac

import (
	"encoding/base64"
	"iter"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Stream reads any number of rows, a page at a time, as one statement that sees one moment. Outside of a transaction it has a
// connection of the database to itself until the loop ends, so do little within: for a page of a list use [Query.Page].
//
//	for post, err := range odac.DB("posts").Stream() {
//		if err != nil {
//			return err
//		}
//	}
func (q Query) Stream() iter.Seq2[Row, error] {
	if q.cache {
		q = q.fail("a Stream takes no Cache")
	}
	q.q.Verb = abi.VerbSelect
	return q.stream()
}

func (q Query) stream() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		cursor, err := q.open()
		if err != nil {
			yield(Row{}, err)
			return
		}
		done := false
		defer func() {
			if !done {
				_ = call(wire.DBFree, &cursor) // the loop has ended: what it closes is closed with the call at the latest
			}
		}()
		for !done {
			answer, err := hostCall(wire.DBNext, &cursor)
			if err != nil {
				done = true // an error closes it
				yield(Row{}, err)
				return
			}
			var rows Rows
			if rows, done, err = decodePage(answer); err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

func (q Query) open() (cursor abi.Cursor, err error) {
	if q.err != nil {
		return cursor, q.err
	}
	msg := q.message()
	answer, err := hostCall(wire.DBOpen, &msg)
	if err != nil {
		return cursor, err
	}
	return cursor, decode(&cursor, answer)
}

// decodePage reads the message Page: a Result, and whether it is the last.
func decodePage(msg []byte) (rows Rows, done bool, err error) {
	err = fields(msg, func(key string, b []byte) (rest []byte, ok bool, err error) {
		if key != "d" {
			return b, false, nil
		}
		done, rest, err = msgpack.ReadBoolBytes(b)
		return rest, true, err
	})
	if err != nil {
		return nil, false, err
	}
	r, err := decodeResult(msg)
	return r.Rows, done, err
}

// After continues an ordered read behind a row: its values of the columns of Order, one each. Unlike Offset it does not read what it skips, and
// rows that come and go meanwhile are neither missed nor repeated. The columns are never null and together tell rows apart:
//
//	odac.DB("posts").Order("created_at desc", "id desc").After(last.Time("created_at"), last.String("id")).Limit(20)
func (q Query) After(values ...any) Query {
	list, err := convert(values)
	if err != "" {
		return q.fail("After: " + err)
	}
	q.change().After = list
	return q
}

// Page is one page of a list.
type Page struct {
	// Rows are the page's rows.
	Rows Rows
	// Next is what [Query.Page] takes for the page that follows, "" if there is none. It goes into a URL as it is.
	Next string
}

// Page reads up to size rows of an ordered query, from the first or from where a page's Next says. A visitor may send any text as
// next: what is no Next of this order is an [Invalid] error, and what is can only move the beginning. The columns of Order must be
// selected, and be as [Query.After] wants them.
func (q Query) Page(size int, next string) (Page, error) {
	if size < 1 || len(q.q.Order) == 0 {
		q = q.fail("Page wants a size of 1 or more, and Order")
	}
	if next != "" {
		values, ok := decodeNext(next)
		if !ok || len(values) != len(q.q.Order) {
			return Page{}, Fail(Invalid, "There is no such page.")
		}
		q.change().After = values
	}
	rows, err := q.Limit(size + 1).All()
	if err != nil || len(rows) <= size {
		return Page{Rows: rows}, err
	}
	rows = rows[:size]
	next, err = q.next(rows[size-1])
	return Page{Rows: rows, Next: next}, err
}

// next names the place behind a row.
func (q Query) next(row Row) (string, error) {
	values := make(abi.Values, len(q.q.Order))
	for i, o := range q.q.Order {
		v, ok := row.Get(o.Column)
		if !ok {
			v, ok = row.Get(o.Column[strings.LastIndexByte(o.Column, '.')+1:])
		}
		if !ok || v.IsNull() {
			return "", q.fail("Page: the order's column " + o.Column + " is not selected, or null").err
		}
		values[i] = v
	}
	b, err := values.MarshalMsg(nil)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func decodeNext(next string) (abi.Values, bool) {
	b, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil {
		return nil, false
	}
	var values abi.Values
	rest, err := values.UnmarshalMsg(b)
	return values, err == nil && len(rest) == 0 && !slices.ContainsFunc(values, Value.IsNull)
}
