package database

import (
	"context"

	"github.com/tinylib/msgp/msgp"
)

// paged is the rest of a select's answer on a server: rows that were fetched, encoded, and handed out page by page.
type paged struct {
	st *statement
	// fetch appends encoded rows with add until a portion is there. more is false when there are no more.
	fetch func(ctx context.Context) (more bool, err error)
	end   func() // frees what fetch uses; nil when closed
	// portion is how many rows are fetched next, where it is not the answer's end that is read on.
	portion int

	data []byte // encoded rows
	ends []int  // in data, of rows that were not handed out
	from int    // where in data the first of them begins
	over bool   // fetch has no more
}

// add keeps a row. encode appends it.
func (p *paged) add(row []byte) {
	p.data = append(p.data, row...)
	p.ends = append(p.ends, len(p.data))
}

func (p *paged) next(ctx context.Context, b Budget, dst []byte) (out []byte, done bool, err error) {
	if err := ended(ctx); err != nil {
		return dst, false, err
	}
	page := newAnswer(p.st, b, dst)
	page.open(3)
	for {
		if len(p.ends) == 0 {
			if p.over {
				break
			}
			p.data, p.from = p.data[:0], 0
			more, err := p.fetch(ctx)
			if err != nil {
				return dst, false, err
			}
			p.over = !more
			continue
		}
		if page.Rows >= b.MaxRows {
			break
		}
		whole := len(page.Out)
		page.Rows++
		page.Out = append(page.Out, p.data[p.from:p.ends[0]]...)
		if err := page.fits(); err != nil {
			if page.Rows == 1 {
				return dst, false, err // one row that is over the budget by itself
			}
			page.Out, page.Rows = page.Out[:whole], page.Rows-1
			break
		}
		p.from, p.ends = p.ends[0], p.ends[1:]
	}
	done = p.over && len(p.ends) == 0
	page.Close()
	return msgp.AppendBool(append(page.Out, 0xa1, 'd'), done), done, nil
}

func (p *paged) close() {
	if p.end != nil {
		p.end()
		p.end = nil
	}
}
