package database

import (
	"sync"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// statement is a query's shape, checked against the catalog and compiled: everything but the values.
type statement struct {
	verb    abi.Verb
	table   *Table
	sql     string
	params  []param
	out     []*Column // of the result's columns; empty when there are none
	header  []byte    // "c" and the names of the result's columns, encoded
	inserts []insertColumn
	set     []*Column // update: columns of q.Fields
	add     []*Column // update: columns of q.Increments
	key     *Column   // insert: the primary key if it is one column
	touches []Touch
}

// use says what a parameter is for.
type use uint8

const (
	useWrite   use = iota // stored: must fit the column
	useCompare            // compared with the column
	useLike               // a pattern
	useDelta              // added to the column
)

type param struct {
	column *Column
	use    use
}

// fill says where the value of a column comes from when the row has none.
type fill uint8

const (
	fillNone fill = iota
	fillNanoid
	fillNow
)

type insertColumn struct {
	column *Column
	source int // index in the row, -1 is none
	fill   fill
}

// countColumn describes a number that is of no column.
var countColumn = &Column{Type: TypeInt}

func encodeHeader(names []string) []byte {
	b := msgp.AppendString(nil, "c")
	b = msgp.AppendArrayHeader(b, uint32(len(names)))
	for _, name := range names {
		b = msgp.AppendString(b, name)
	}
	return b
}

// maxStatements bounds each of a catalog's two generations of compiled statements.
const maxStatements = 512

// statements keeps compiled statements by shape in two generations: when the young one is full it becomes the old one, and what is
// used again comes back. A statement that is not used is so forgotten after two generations.
type statements struct {
	mu    sync.RWMutex // guards what is below; nothing is called under it
	young map[string]*statement
	old   map[string]*statement
}

func (s *statements) get(shape []byte) *statement {
	s.mu.RLock()
	st, ok := s.young[string(shape)]
	if ok {
		s.mu.RUnlock()
		return st
	}
	st = s.old[string(shape)]
	s.mu.RUnlock()
	if st != nil {
		s.put(shape, st)
	}
	return st
}

func (s *statements) put(shape []byte, st *statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxStatements {
		s.old, s.young = s.young, make(map[string]*statement, maxStatements)
	}
	s.young[string(shape)] = st
}

func (s *statements) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.young) + len(s.old)
}
