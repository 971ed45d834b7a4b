package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Twin is a column that another one replaces while revisions of both kinds serve: a rename, or a change of type under the same name.
// Both columns are there and triggers keep them equal, whichever is written. It lives in the record of its table from before the
// column is added until the contract phase has dropped the old one, so every plan in between finds it.
type Twin struct {
	// Old and New are the names that the two revisions know; equal for a change of type.
	Old string `json:"old"`
	New string `json:"new"`
	// From and To are the two definitions, with nullable decided.
	From *Column `json:"from"`
	To   *Column `json:"to"`
	// FromType and ToType are their types as the server prints them.
	FromType string `json:"fromType"`
	ToType   string `json:"toType"`
	// What each side has beside the column, under the names of its revision.
	FromIndexes []Index      `json:"fromIndexes,omitempty"`
	ToIndexes   []Index      `json:"toIndexes,omitempty"`
	FromKeys    []ForeignKey `json:"fromKeys,omitempty"`
	ToKeys      []ForeignKey `json:"toKeys,omitempty"`
	// Filled says that every row was copied. From then on missing triggers are drift.
	Filled bool `json:"filled,omitempty"`
	// Ending says that the contract phase has begun: the triggers go, and the old column is not the other's equal any more.
	Ending bool `json:"ending,omitempty"`

	// Of the live table, found when planning.
	switched bool // of a change of type: the new column has the name
}

// twinPrefix begins the names of columns and indexes that exist only while there is a twin; syncPrefix those of its triggers.
const (
	twinPrefix = "_odac_twin_"
	syncPrefix = "_odac_sync_"
)

func (t *Twin) renames() bool { return !strings.EqualFold(t.Old, t.New) }

// columns are the names by which the table has the two columns now.
func (t *Twin) columns() (from, to string) {
	switch {
	case t.renames():
		return t.Old, t.New
	case t.switched:
		return twinName(t.New), t.New
	}
	return t.Old, twinName(t.New)
}

// twinName is the name of a twin, or of its index: long ones keep a hash instead of their end, since names end at 63 bytes.
func twinName(name string) string {
	const max = 63 - len(twinPrefix)
	if len(name) <= max {
		return twinPrefix + name
	}
	sum := sha256.Sum256([]byte(name))
	return twinPrefix + strings.ToValidUTF8(name[:max-9], "") + "_" + hex.EncodeToString(sum[:4])
}

// side is what a schema says of a twin.
type side int

const (
	wantsNeither side = iota // nor both: the two columns are strangers from now on
	wantsOld
	wantsNew
)

func (t *Twin) side(table *Table) side {
	old, to := table.Column(t.Old), table.Column(t.New)
	switch {
	case t.renames() && (old == nil) == (to == nil), to == nil && old == nil:
		return wantsNeither
	case t.renames() && to != nil, !t.renames() && sameType(to, t.To):
		return wantsNew
	case t.renames() || sameType(old, t.From):
		return wantsOld
	}
	return wantsNeither
}

// sameType tells whether two definitions are of one type.
func sameType(a, b *Column) bool {
	return a.Type == b.Type && a.Length == b.Length && a.Precision == b.Precision && a.Scale == b.Scale && a.Specific == b.Specific && a.Unsigned == b.Unsigned
}

// stage is what a plan does about the twins of one table.
type stage int

const (
	stageContract stage = iota // the schema itself; triggers go first
	stageExpand                // both columns
	stageSwitch                // the new column takes the name
	stageBack                  // the old column takes the name back
	stageHold                  // both columns stay: the schema is that of the old revision, or wants something else first
)

// twinTable is one table with twins.
type twinTable struct {
	stage stage
	want  *Table // of the schema
	live  *TableInfo
	twins []*Twin
	wants side
	// ending says that an earlier run began the contract phase.
	ending bool
}

// twinPlan leads a plan through twins: it turns the schema into the one with both columns, which is then planned as any other, and
// puts its own steps between.
type twinPlan struct {
	d      dialect
	x      *twinSyntax
	owner  string
	live   *Database
	schema *Schema           // with both columns where there are twins: to compare with live
	record *Schema           // what to remember
	stay   map[string]*Table // what to remember of tables whose contract steps are left out
	tables map[string]*twinTable
}

// findTwins finds the twins that are there, and with Options.Online those that the schema asks for.
func findTwins(ctx context.Context, d dialect, conn *sql.Conn, schema *Schema, live *Database, options Options) (*twinPlan, error) {
	p := &twinPlan{d: d, x: d.syntax().twin, owner: options.Owner, live: live, schema: schema, record: schema, tables: map[string]*twinTable{}, stay: map[string]*Table{}}
	if p.x == nil {
		return p, nil
	}
	for _, t := range schema.sorted() {
		a, at := live.Applied[fold(t.Name)], live.Tables[fold(t.Name)]
		if a.Owner == options.Owner && at != nil && len(a.Table.Twins) > 0 {
			p.find(t, at, a.Table.Twins, options)
		}
	}
	p.double()
	if !options.Online {
		return p, nil
	}
	changes, err := threeWay(ctx, d, conn, p.schema, live.Last(options.Owner), live, options.Drift)
	if err != nil {
		return nil, err
	}
	for _, tc := range changes.Tables {
		p.begin(tc)
	}
	p.settle(changes)
	p.double()
	return p, nil
}

// find takes up twins of the record.
func (p *twinPlan) find(want *Table, live *TableInfo, recorded []*Twin, options Options) {
	tt := &twinTable{want: want, live: live}
	for _, r := range recorded {
		t := *r
		t.switched = !t.renames() && live.Column(t.New) != nil && live.Column(t.New).Type == t.ToType
		tt.twins = append(tt.twins, &t)
	}
	tt.wants = tt.twins[0].side(want)
	for _, t := range tt.twins[1:] {
		if t.side(want) != tt.wants {
			tt.wants = wantsNeither
		}
	}
	filled := !slices.ContainsFunc(tt.twins, func(t *Twin) bool { return !t.Filled })
	switched := !slices.ContainsFunc(tt.twins, func(t *Twin) bool { return !t.renames() && !t.switched })
	back := slices.ContainsFunc(tt.twins, func(t *Twin) bool { return t.switched })
	ending := slices.ContainsFunc(tt.twins, func(t *Twin) bool { return t.Ending })
	switch {
	case ending || tt.wants == wantsNeither || tt.wants == wantsOld && options.Abandon:
		tt.stage = stageContract
	case !filled:
		tt.stage = stageExpand
	case tt.wants == wantsOld && back:
		tt.stage = stageBack
	case tt.wants == wantsOld:
		tt.stage = stageHold
	case !switched:
		tt.stage = stageSwitch
	case options.Online:
		tt.stage = stageHold // until nothing else is left to do: see settle
	default:
		tt.stage = stageContract
	}
	tt.ending = ending
	tt.refresh()
	p.tables[fold(want.Name)] = tt
}

// settle contracts the tables in which the new revision has all that it needs.
func (p *twinPlan) settle(changes *Changes) {
	for name, tt := range p.tables {
		busy := slices.ContainsFunc(changes.Tables, func(tc *TableChange) bool { return fold(tc.Name) == name && !tc.Empty() })
		if tt.stage == stageHold && tt.wants == wantsNew && !busy {
			tt.stage = stageContract
		}
	}
}

// refresh takes over what the schema says now of the side that it wants.
func (tt *twinTable) refresh() {
	for _, t := range tt.twins {
		switch tt.wants {
		case wantsNew:
			t.To, t.ToIndexes, t.ToKeys = decided(tt.want.Column(t.New), t.To), indexesOf(tt.want, t.New), keysOf(tt.want, t.New)
		case wantsOld:
			t.From, t.FromIndexes, t.FromKeys = decided(tt.want.Column(t.Old), t.From), indexesOf(tt.want, t.Old), keysOf(tt.want, t.Old)
		}
	}
}

// decided is the definition of c as it stays: where the file is silent about null, like the other.
func indexesOf(t *Table, column string) []Index {
	return slices.DeleteFunc(slices.Clone(t.Indexes), func(x Index) bool { return !containsFold(x.Columns, column) })
}

func keysOf(t *Table, column string) []ForeignKey {
	return slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(fk ForeignKey) bool { return !containsFold(fk.Columns, column) })
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) })
}

// begin makes twins of the renames and changes of type of one table, where both revisions can live with two columns.
func (p *twinPlan) begin(tc *TableChange) {
	applied, ok := p.live.Applied[fold(tc.Name)]
	if tc.live == nil || !ok || tc.want == nil || tc.want.def == nil {
		return
	}
	var want *Table
	for _, t := range p.schema.Tables {
		if strings.EqualFold(t.Name, tc.Name) {
			want = t
		}
	}
	var found []*Twin
	add := func(old, to string) {
		c, from, at := want.Column(to), applied.Table.Column(old), tc.live.Column(old)
		if c == nil || from == nil || at == nil || !p.able(tc, old, to) {
			return
		}
		nullable := !at.NotNull
		t := &Twin{Old: at.Name, New: c.Name, From: decided(from, nil), FromType: at.Type, ToType: tc.want.Column(to).Type}
		t.From.Nullable = &nullable
		t.To = decided(c, t.From)
		t.FromIndexes, t.FromKeys = indexesOf(applied.Table, old), keysOf(applied.Table, old)
		t.ToIndexes, t.ToKeys = indexesOf(want, to), keysOf(want, to)
		found = append(found, t)
	}
	for _, r := range tc.Renames {
		add(r.From, r.To)
	}
	for _, cc := range tc.AlterColumns {
		if from := applied.Table.Column(cc.From.Name); cc.Type && from != nil && !p.x.widens(from, cc.To.def) {
			add(cc.From.Name, cc.To.Name)
		}
	}
	if len(found) == 0 {
		return
	}
	tt := p.tables[fold(tc.Name)]
	if tt == nil {
		tt = &twinTable{want: want, live: tc.live, wants: wantsNew}
		p.tables[fold(tc.Name)] = tt
	}
	tt.stage, tt.twins = stageExpand, append(tt.twins, found...)
}

// able tells whether the column can have a twin. Keys cannot: a row has one identity.
func (p *twinPlan) able(tc *TableChange, old, to string) bool {
	if p.x.able != nil && !p.x.able(tc.live) || containsFold(tc.live.PrimaryKey, old) || containsFold(tc.want.PrimaryKey, to) {
		return false
	}
	if c := tc.live.Column(old); c.Generated || c.AutoIncrement {
		return false
	}
	for _, t := range p.live.Tables {
		for _, fk := range t.ForeignKeys {
			if strings.EqualFold(fk.RefTable, tc.Name) && containsFold(fk.RefColumns, old) {
				return false
			}
		}
	}
	return true
}

// double puts the tables with both columns into the schema.
// turned is the table after its switch.
// decided is the schema's table with nullable taken from the twins: the live column, which was made without NOT NULL, says nothing.
// doubled is the table with both columns of each twin, under the names that they have now, and with what either side has beside them.
// half is one of the two columns. The one that is added has no NOT NULL: who does not know it writes nothing into it.
// fallback is the default of the added column: that of the old one, so that a row that names neither has the same in both, and one
// that names one shows which. A change of type adds a column that nobody names before it has taken the name.
func (t *Twin) String() string {
	if t.renames() {
		return fmt.Sprintf("%s to %s", t.Old, t.New)
	}
	return fmt.Sprintf("%s %s to %s", t.New, t.FromType, t.ToType)
}
