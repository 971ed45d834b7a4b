package buffer

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Limits of one write. They bound what a decoder allocates; configuration can only be stricter.
const (
	// MaxNameBytes is the longest tenant, connection, table or column name, in bytes.
	MaxNameBytes = 128
	// MaxColumns is the largest number of columns of one operation, key included.
	MaxColumns = 2000
	// MaxWriteBytes is the largest encoded write, in bytes.
	MaxWriteBytes = 8 << 20
)

// LSN is the place of a write in one node's log: it grows, without being dense, and is never used twice for an acknowledged
// write. 0 is none.
type LSN uint64

// Lane is one table of one connection of one tenant: the unit of order. Writes of one lane are applied in the order of their
// LSNs, lanes do not wait for each other.
type Lane struct {
	Tenant string // may be empty
	Conn   string // connection name, such as "default"
	Table  string
}

// String gives the lane as the ledger names it: tenant/conn/table, each part escaped as in a URL path.
func (l Lane) String() string {
	return url.PathEscape(l.Tenant) + "/" + url.PathEscape(l.Conn) + "/" + url.PathEscape(l.Table)
}

func (l Lane) validate() error {
	if l.Conn == "" || l.Table == "" {
		return fmt.Errorf("%w: lane %s needs a connection and a table", ErrInvalid, l)
	}
	if max(len(l.Tenant), len(l.Conn), len(l.Table)) > MaxNameBytes {
		return fmt.Errorf("%w: a name of the lane is longer than %d bytes", ErrInvalid, MaxNameBytes)
	}
	return nil
}

// Level says what an acknowledgement means; see the package documentation.
type Level uint8

// The levels. The zero Level is Disk.
const (
	Disk Level = iota
	Memory
	Applied
	Replicated
)

var levelNames = [...]string{"disk", "memory", "applied", "replicated"}

// String gives the level's name.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "level(" + strconv.Itoa(int(l)) + ")"
}

// ParseLevel reads a level's name; the empty name is Disk.
func ParseLevel(name string) (Level, error) {
	if name == "" {
		return Disk, nil
	}
	if i := slices.Index(levelNames[:], name); i >= 0 {
		return Level(i), nil
	}
	return Disk, fmt.Errorf("%w: durability level %q: use %s", ErrInvalid, name, strings.Join(levelNames[:], ", "))
}

// Kind is what an operation does. The numbers are on disk: they never change.
type Kind uint8

// The kinds of an operation. In a Batch, sets and increments of one row are one change of kind KindSet.
const (
	KindInsert    Kind = 1
	KindSet       Kind = 2
	KindIncrement Kind = 3
	KindDelete    Kind = 4
)

var kindNames = [...]string{"", "insert", "set", "increment", "delete"}

// String gives the kind's name as it stands in the dead-letter table.
func (k Kind) String() string {
	if k >= KindInsert && k <= KindDelete {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Column is a named value.
type Column struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// Delta is what is added to an integer column.
type Delta struct {
	Name string `json:"name"`
	By   int64  `json:"by,string"`
}

// Op is one operation on one row. The buffer keeps the slices: they must not be changed after they were handed over.
type Op struct {
	Kind Kind
	// Key names the row by its primary key, in any order of columns. Only an insert may leave it empty (the database makes the
	// key): such a row does not fold, and Pending cannot find it.
	Key []Column
	// Set holds the other columns of an insert, or the columns of a set. It never names a column of Key.
	Set []Column
	// Add holds the columns of an increment.
	Add []Delta
}

func (o *Op) validate() error {
	if o.Kind < KindInsert || o.Kind > KindDelete {
		return fmt.Errorf("%w: %s", ErrInvalid, o.Kind)
	}
	switch {
	case len(o.Key) == 0 && o.Kind != KindInsert:
		return fmt.Errorf("%w: %s without a key", ErrInvalid, o.Kind)
	case len(o.Set) > 0 && (o.Kind == KindIncrement || o.Kind == KindDelete):
		return fmt.Errorf("%w: %s with values", ErrInvalid, o.Kind)
	case len(o.Add) > 0 && o.Kind != KindIncrement:
		return fmt.Errorf("%w: %s with increments", ErrInvalid, o.Kind)
	case o.Kind == KindSet && len(o.Set) == 0, o.Kind == KindIncrement && len(o.Add) == 0,
		o.Kind == KindInsert && len(o.Key)+len(o.Set) == 0:
		return fmt.Errorf("%w: %s without columns", ErrInvalid, o.Kind)
	case len(o.Key)+len(o.Set)+len(o.Add) > MaxColumns:
		return fmt.Errorf("%w: %s of more than %d columns", ErrInvalid, o.Kind, MaxColumns)
	}
	return o.validateNames()
}

func (o *Op) validateNames() error {
	names := make([]string, 0, 16)
	for _, c := range o.Key {
		if c.Value.IsNull() || c.Value == Float(nan) {
			return fmt.Errorf("%w: key column %q is %s, which equals nothing", ErrInvalid, c.Name, c.Value)
		}
		names = append(names, c.Name)
	}
	for _, c := range o.Set {
		names = append(names, c.Name)
	}
	for _, d := range o.Add {
		names = append(names, d.Name)
	}
	for i, name := range names {
		if name == "" || len(name) > MaxNameBytes {
			return fmt.Errorf("%w: column name of %d bytes (1 to %d)", ErrInvalid, len(name), MaxNameBytes)
		}
		if len(names) <= 16 && slices.Contains(names[:i], name) {
			return fmt.Errorf("%w: column %q named twice", ErrInvalid, name)
		}
	}
	if len(names) > 16 {
		slices.Sort(names)
		for i := 1; i < len(names); i++ {
			if names[i] == names[i-1] {
				return fmt.Errorf("%w: column %q named twice", ErrInvalid, names[i])
			}
		}
	}
	return nil
}
