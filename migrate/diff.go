package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Changes is what leads from the live database to the desired one.
type Changes struct {
	Tables []*TableChange
	// Notes report what is not ours and stays: foreign tables, hand-made columns, indexes and foreign keys.
	Notes []string
	// Drift is where live differs from what was applied and the schema does not want what is live. The changes that take it
	// back are in Tables.
	Drift []Drift
	// Ambiguous are dropped and added columns that may be one renamed column.
	Ambiguous []Ambiguity
}

// Drift is one thing that was changed by hand.
type Drift struct {
	Table, Object          string
	Applied, Live, Desired string
}

func (d Drift) String() string {
	return fmt.Sprintf("%s.%s: applied %s, live %s, wanted %s", d.Table, d.Object, or(d.Applied, "(none)"), or(d.Live, "(none)"), or(d.Desired, "(none)"))
}

// Ambiguity is a column that goes and one like it that comes.
type Ambiguity struct{ Table, Dropped, Added, Pos string }

// Rename is a column that takes over the values of another.
type Rename struct{ Table, From, To string }

// TableChange is what changes in one table.
type TableChange struct {
	Name string
	// Create and Drop are whole tables. Adopt marks one that is there, belongs to no owner, and is in the schema.
	Create, Drop, Adopt bool
	Renames             []Rename
	AddColumns          []*ColumnInfo
	DropColumns         []*ColumnInfo
	AlterColumns        []*ColumnChange
	PrimaryKey          bool
	AddIndexes          []IndexInfo
	DropIndexes         []IndexInfo
	AddForeignKeys      []ForeignKey
	DropForeignKeys     []ForeignKey

	live, want *TableInfo
}

// Empty tells whether nothing changes in the table.
func (t *TableChange) Empty() bool {
	return !t.Create && !t.Drop && !t.PrimaryKey && len(t.Renames)+len(t.AddColumns)+len(t.DropColumns)+len(t.AlterColumns)+
		len(t.AddIndexes)+len(t.DropIndexes)+len(t.AddForeignKeys)+len(t.DropForeignKeys) == 0
}

// ColumnChange is a column whose definition changes, and in what.
type ColumnChange struct {
	From, To                     *ColumnInfo
	Type, NotNull, Default, Auto bool
	AddChecks, DropChecks        []string
}

func (c *ColumnChange) empty() bool {
	return !c.Type && !c.NotNull && !c.Default && !c.Auto && len(c.AddChecks)+len(c.DropChecks) == 0
}

// Diff compares three ways. A thing that is in live and not in desired is dropped only if it is in last. What differs between
// live and desired changes; if live differs from last as well, it is also drift.
func Diff(last, live, desired *Database) *Changes {
	return diff(last, live, desired, DriftRevert)
}

func diff(last, live, desired *Database, policy DriftPolicy) *Changes {
	d := &differ{Changes: &Changes{}, revert: policy == DriftRevert}
	for _, name := range slices.Sorted(maps.Keys(desired.Tables)) {
		d.table(last.Tables[name], live.Tables[name], desired.Tables[name])
	}
	for _, name := range slices.Sorted(maps.Keys(live.Tables)) {
		t := live.Tables[name]
		switch {
		case desired.Tables[name] != nil:
		case last.Tables[name] != nil:
			d.Tables = append(d.Tables, &TableChange{Name: t.Name, Drop: true, live: t})
		default:
			if _, owned := live.Applied[name]; !owned {
				d.note("table %s is not ours: left alone", t.Name)
			}
		}
	}
	return d.Changes
}

type differ struct {
	*Changes
	revert bool
}

func (d *differ) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// drifted decides whether to take a difference up. Nothing applied, or live as applied: it is the schema that changed.
func (d *differ) drifted(table, object string, known bool, applied, live, desired string) (apply bool) {
	if !known || applied == live {
		return true
	}
	d.Drift = append(d.Drift, Drift{Table: table, Object: object, Applied: applied, Live: live, Desired: desired})
	return d.revert
}

func (d *differ) table(last, live, want *TableInfo) {
	tc := &TableChange{Name: want.Name, live: live, want: want}
	if live == nil {
		if d.drifted(want.Name, "table", last != nil, "a table", "", "a table") {
			tc.Create = true
			d.Tables = append(d.Tables, tc)
		}
		return
	}
	tc.Adopt = last == nil
	if last == nil {
		last = &TableInfo{Name: want.Name}
	}
	d.columns(tc, last)
	d.primaryKey(tc, last)
	d.indexes(tc, last)
	d.foreignKeys(tc, last)
	if !tc.Empty() || tc.Adopt {
		d.Tables = append(d.Tables, tc)
	}
}

func (d *differ) columns(tc *TableChange, last *TableInfo) {
	from := map[string]*ColumnInfo{}
	for _, want := range tc.want.Columns {
		at := tc.live.Column(want.Name)
		was := last.Column(want.Name)
		if at == nil && want.def != nil && want.def.RenamedFrom != "" {
			if old := tc.live.Column(want.def.RenamedFrom); old != nil {
				tc.Renames = append(tc.Renames, Rename{Table: tc.live.Name, From: old.Name, To: want.Name})
				from[fold(old.Name)] = old
				continue // the planner compares again once it is renamed
			}
		}
		if at == nil {
			if d.drifted(tc.Name, want.Name, was != nil, describe(was), "", describe(want)) {
				tc.AddColumns = append(tc.AddColumns, want)
			}
			continue
		}
		if cc := d.column(tc.Name, was, at, want); !cc.empty() {
			tc.AlterColumns = append(tc.AlterColumns, cc)
		}
	}
	for _, at := range tc.live.Columns {
		switch {
		case tc.want.Column(at.Name) != nil || from[fold(at.Name)] != nil:
		case last.Column(at.Name) != nil:
			tc.DropColumns = append(tc.DropColumns, at)
		default:
			d.note("column %s.%s is not ours: left alone", tc.Name, at.Name)
		}
	}
	d.ambiguous(tc)
}

// ambiguous finds a dropped column for which one of the same type is added: dropping would lose what a rename keeps.
func (d *differ) ambiguous(tc *TableChange) {
	for _, dropped := range tc.DropColumns {
		for _, added := range tc.AddColumns {
			if added.Type == dropped.Type && added.def != nil && !added.def.NotRenamed {
				d.Ambiguous = append(d.Ambiguous, Ambiguity{Table: tc.Name, Dropped: dropped.Name, Added: added.Name, Pos: added.def.Pos})
			}
		}
	}
}

func (d *differ) column(table string, last, live, want *ColumnInfo) *ColumnChange {
	cc := &ColumnChange{From: live, To: want}
	known := last != nil
	if !known {
		last = &ColumnInfo{}
	}
	changed := func(what, applied, is, desired string) bool {
		return is != desired && d.drifted(table, want.Name+" "+what, known, applied, is, desired)
	}
	cc.Type = changed("type", last.Type, live.Type, want.Type)
	cc.Default = changed("default", last.Default, live.Default, want.Default)
	cc.NotNull = changed("nullable", nullText(last), nullText(live), nullText(want))
	cc.Auto = live.AutoIncrement != want.AutoIncrement
	for _, check := range want.Checks {
		if !slices.Contains(live.Checks, check) &&
			d.drifted(table, want.Name+" check", slices.Contains(last.Checks, check), check, "", check) {
			cc.AddChecks = append(cc.AddChecks, check)
		}
	}
	for _, check := range live.Checks {
		switch {
		case slices.Contains(want.Checks, strings.TrimSuffix(check, notValid)):
		case slices.Contains(last.Checks, check):
			cc.DropChecks = append(cc.DropChecks, check)
		default:
			d.note("%s on %s.%s is not ours: left alone", check, table, want.Name)
		}
	}
	return cc
}

func nullText(c *ColumnInfo) string {
	if c.NotNull {
		return "not null"
	}
	return "null"
}

func describe(c *ColumnInfo) string {
	if c == nil {
		return ""
	}
	return strings.TrimSpace(c.Type + " " + nullText(c))
}

func (d *differ) primaryKey(tc *TableChange, last *TableInfo) {
	if equalFold(tc.live.PrimaryKey, tc.want.PrimaryKey) {
		tc.PrimaryKey = slices.ContainsFunc(tc.AlterColumns, func(cc *ColumnChange) bool { return cc.Auto })
		return
	}
	for _, r := range tc.Renames {
		if slices.ContainsFunc(tc.live.PrimaryKey, func(s string) bool { return strings.EqualFold(s, r.From) }) {
			return // compared again once it is renamed
		}
	}
	join := func(names []string) string { return strings.Join(names, ", ") }
	tc.PrimaryKey = d.drifted(tc.Name, "primary key", len(last.Columns) > 0, join(last.PrimaryKey), join(tc.live.PrimaryKey), join(tc.want.PrimaryKey))
}

func (d *differ) indexes(tc *TableChange, last *TableInfo) {
	kept := map[string]bool{}
	for _, want := range tc.want.Indexes {
		if at := findIndex(tc.live, want); at != nil {
			kept[fold(at.Name)] = true
			continue
		}
		known := findIndex(last, want) != nil
		if d.drifted(tc.Name, "index "+want.Name, known, "an index", "", "an index") {
			tc.AddIndexes = append(tc.AddIndexes, want)
		}
	}
	for i := range tc.AddIndexes { // an index of before a rename keeps its name, which another column's index may want now
		x := &tc.AddIndexes[i]
		for n, name := 2, x.Name; !x.named && kept[fold(x.Name)]; n++ {
			suffix := fmt.Sprintf("_%d", n)
			x.Name, x.wanted = name[:min(len(name), 63-len(suffix))]+suffix, name
		}
	}
	for _, at := range tc.live.Indexes {
		if at.Inline || kept[fold(at.Name)] {
			continue
		}
		ours := slices.ContainsFunc(last.Indexes, func(x IndexInfo) bool {
			return x.sameShape(at) && strings.EqualFold(x.Name, at.Name) // another name is another's hand
		})
		taken := slices.ContainsFunc(tc.AddIndexes, func(x IndexInfo) bool { return strings.EqualFold(x.Name, at.Name) })
		switch {
		case ours || taken:
			tc.DropIndexes = append(tc.DropIndexes, at)
		default:
			d.note("index %s on %s is not ours: left alone", at.Name, tc.Name)
		}
	}
}

// findIndex finds an index that does what want does: of the same shape, and of the same name if the file gave one.
// Its own name comes first: a second one that a hand made stays the hand's.
func findIndex(in *TableInfo, want IndexInfo) *IndexInfo {
	var other *IndexInfo
	for i, x := range in.Indexes {
		switch {
		case !x.sameShape(want):
		case strings.EqualFold(x.Name, want.Name):
			return &in.Indexes[i]
		case !want.named || x.Inline:
			other = &in.Indexes[i]
		}
	}
	return other
}

func (d *differ) foreignKeys(tc *TableChange, last *TableInfo) {
	for _, want := range tc.want.ForeignKeys {
		at := findKey(tc.live, want)
		if at != nil && at.equal(want) {
			continue
		}
		was := findKey(last, want)
		known := was != nil && (at == nil || !at.invalid || was.equal(want)) // what is half made is no drift
		if !d.drifted(tc.Name, "foreign key "+strings.Join(want.Columns, ", "), known, keyText(was), keyText(at), want.String()) {
			continue
		}
		if at != nil {
			tc.DropForeignKeys = append(tc.DropForeignKeys, *at)
		}
		tc.AddForeignKeys = append(tc.AddForeignKeys, want)
	}
	for _, at := range tc.live.ForeignKeys {
		switch {
		case findKey(tc.want, at) != nil:
		case findKey(last, at) != nil:
			tc.DropForeignKeys = append(tc.DropForeignKeys, at)
		default:
			d.note("foreign key %s of %s is not ours: left alone", at, tc.Name)
		}
	}
}

func findKey(in *TableInfo, fk ForeignKey) *ForeignKey {
	for i, other := range in.ForeignKeys {
		if other.sameTarget(fk) {
			return &in.ForeignKeys[i]
		}
	}
	return nil
}

func keyText(fk *ForeignKey) string {
	if fk == nil {
		return ""
	}
	return fk.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
