package migrate

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// flavour is what the generator needs to know of a server.
type flavour struct {
	open    func(t *testing.T) *sql.DB
	rounds  int
	tables  string                          // lists the tables
	columns string                          // lists name and type of the columns of %s
	show    string                          // prints column %s
	binary  []string                        // literals
	json    string                          // a type that an index can have
	fix     func(columns map[string]string) // takes out what the server does not have; nil is nothing
	times   []string                        // literals, as SQLite has them if nil
}

func TestGenerated(t *testing.T) {
	testGenerated(t, flavour{
		open:    func(t *testing.T) *sql.DB { return open(t, filepath.Join(t.TempDir(), "test.db")) },
		rounds:  60,
		tables:  "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '[te]*'",
		columns: "SELECT name || ' ' || type FROM pragma_table_info('%s')",
		show:    "quote(%s)",
		binary:  []string{"X'00ff'", "X''"},
		json:    "json",
	})
}

// testGenerated draws pairs of schemas with data, and migrates A to B to A. Each plan that is applied leads to a database equal to
// one created from the target, with an empty second plan; a plan that is refused changes nothing; no row is lost without approval.
func testGenerated(t *testing.T, f flavour) {
	if testing.Short() {
		f.rounds = min(f.rounds, 10)
	}
	var applied, refused, approved int
	for seed := range f.rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 7)), flavour: f}
			db := f.open(t)
			a := g.fixed(g.schema())
			apply(t, db, a.load(t))
			g.fill(t, db, a)
			for _, target := range []generated{g.fixed(g.mutate(a)), a} {
				switch g.migrate(t, db, target.load(t)) {
				case "applied":
					applied++
				case "approved":
					applied++
					approved++
				default:
					refused++
				}
			}
			snapshotPlansEmpty(t, db)
		})
	}
	t.Logf("%d plans applied, %d of them approved, %d refused", applied, approved, refused)
	if !testing.Short() && (applied == 0 || refused == 0 || approved == 0) {
		t.Error("the generator does not reach every outcome")
	}
}

// snapshotPlansEmpty checks that what is there can be written as schema files, with what was applied and, last, without.
func snapshotPlansEmpty(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, known := range []bool{true, false} {
		if !known {
			if _, err := db.Exec("DROP TABLE _odac_schema"); err != nil {
				t.Fatal(err)
			}
		}
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out, err := Snapshot(t.Context(), conn, SnapshotOptions{})
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Fatal(err)
		}
		var pairs []string
		for name, data := range out.Files {
			pairs = append(pairs, name, string(data))
		}
		plan, err := planOn(db, files(t, pairs...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.Steps {
			if s.Kind != Record { // of columns in another order, for one
				t.Fatalf("after a snapshot, known %t: %s\n%s\n%s", known, plan, pairs, out.Notes)
			}
		}
	}
}

// generated is a schema as text: table, column, definition.
type generated map[string]map[string]string

func (s generated) load(t *testing.T) *Schema {
	t.Helper()
	var pairs []string
	for table, columns := range s {
		var b strings.Builder
		b.WriteString("columns:\n")
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			if name != "indexes" {
				fmt.Fprintf(&b, "  %s: {%s, renamedFrom: null}\n", name, columns[name])
			}
		}
		if columns["indexes"] != "" {
			fmt.Fprintf(&b, "indexes: [%s]\n", columns["indexes"])
		}
		pairs = append(pairs, table+".yaml", b.String())
	}
	return files(t, pairs...)
}

type generator struct {
	*rand.Rand
	flavour
}

func (g *generator) fixed(s generated) generated {
	for _, columns := range s {
		if g.fix != nil {
			g.fix(columns)
		}
	}
	return s
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) schema() generated {
	s := generated{}
	for i := range 2 + g.IntN(3) {
		columns := map[string]string{"a_id": "type: increments"}
		for j := range 2 + g.IntN(4) {
			columns[fmt.Sprintf("c%d", j)] = g.column()
		}
		if g.IntN(2) == 0 {
			columns["indexes"] = g.pick("{columns: [c0, c1]}", "{columns: [c1], where: c1 IS NOT NULL}")
		}
		s[fmt.Sprintf("t%d", i)] = columns
	}
	return s
}

func (g *generator) column() string {
	def := g.pick(
		"type: integer", "type: bigInteger", "type: integer, unsigned: true", "type: float", "type: decimal", "type: decimal, precision: 6, scale: 1",
		"type: string", "type: string, length: 3", "type: text", "type: boolean", "type: date", "type: timestamp", "type: "+g.json, "type: binary",
		"type: enum, values: [a, b]", "type: enum, values: [a, '1']", "type: integer, default: 1", "type: string, default: '1'",
		"type: string, nullable: false, default: x", "type: timestamp, default: {expression: now()}", "type: text, nullable: false, backfill: z",
		"type: integer, references: {table: t0, column: a_id}, onDelete: set null", "type: integer, references: {table: t1, column: a_id}",
		"type: integer, nullable: false, default: 1, references: {table: t1, column: a_id}, onDelete: cascade",
	)
	if g.IntN(6) == 0 && !strings.Contains(def, "references") {
		def += ", unique: true"
	}
	return def
}

func (g *generator) mutate(a generated) generated {
	b := generated{}
	for table, columns := range a {
		b[table] = maps.Clone(columns)
	}
	for range 1 + g.IntN(4) {
		table := g.pick(slices.Sorted(maps.Keys(a))...)
		columns := b[table]
		if columns == nil {
			continue
		}
		switch g.IntN(6) {
		case 0:
			columns[fmt.Sprintf("n%d", g.IntN(3))] = g.column()
		case 1:
			columns[fmt.Sprintf("c%d", g.IntN(3))] = g.column()
		case 2:
			delete(columns, "indexes")
		case 3:
			columns["indexes"] = g.pick("{columns: [c1, c0]}", "{columns: [c1]}", "{columns: [c0], unique: true}")
		case 4:
			if columns["c2"] != "" {
				delete(columns, "c2")
			}
		case 5:
			if table != "t0" && table != "t1" {
				delete(b, table)
			} else {
				b["extra"] = map[string]string{"a_id": "type: increments", "c0": g.column(), "c1": g.column()}
			}
		}
	}
	return b
}

// fill writes rows that the schema accepts; foreign keys are off, so some rows are orphans already.
func (g *generator) fill(t *testing.T, db *sql.DB, s generated) {
	t.Helper()
	for _, table := range slices.Sorted(maps.Keys(s)) {
		for range g.IntN(5) {
			var names, values []string
			for _, name := range slices.Sorted(maps.Keys(s[table])) {
				def := s[table][name]
				if name == "indexes" || name == "a_id" {
					continue
				}
				names = append(names, name)
				values = append(values, g.value(def))
			}
			_, _ = db.Exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ", "), strings.Join(values, ", ")))
		}
	}
}

func (g *generator) value(def string) string {
	if !strings.Contains(def, "nullable: false") && g.IntN(4) == 0 {
		return "NULL"
	}
	switch {
	case strings.Contains(def, "references"):
		return g.pick("1", "2")
	case strings.Contains(def, "nteger"):
		return g.pick("0", "1", "12", "70000")
	case strings.Contains(def, "float"):
		return g.pick("1.0", "1.5", "-3.25")
	case strings.Contains(def, "scale: 1"):
		return g.pick("'1.5'", "'12.0'", "'-0.5'")
	case strings.Contains(def, "decimal"):
		return g.pick("'1.50'", "'12.00'", "'-0.05'")
	case strings.Contains(def, "boolean"):
		return g.pick("'0'", "'1'")
	case strings.Contains(def, "date"):
		return g.pick("'2024-01-02'", "'1999-12-31'")
	case strings.Contains(def, "timestamp") && g.times != nil:
		return g.pick(g.times...)
	case strings.Contains(def, "timestamp"):
		return g.pick("'2024-01-02T00:00:00.000000000Z'", "'2024-01-02T03:04:05.000000006Z'")
	case strings.Contains(def, "json"):
		return g.pick("'1'", "'[1, 2]'", "'{}'")
	case strings.Contains(def, "binary"):
		return g.pick(g.binary...)
	case strings.Contains(def, "enum"):
		return "'a'"
	}
	return g.pick("'a'", "'12'", "'xyz'", "'1'")
}

// migrate applies a schema and checks what has to hold.
func (g *generator) migrate(t *testing.T, sqldb *sql.DB, schema *Schema) string {
	t.Helper()
	before := g.snapshot(t, sqldb)
	plan := planFor(t, sqldb, schema)
	outcome := "applied"
	report, err := plan.Apply(t.Context(), sqldb, ApplyOptions{})
	var approval *ApprovalError
	if errors.As(err, &approval) {
		if after := g.snapshot(t, sqldb); !maps.Equal(after.counts, before.counts) {
			t.Fatal("changed without approval")
		}
		outcome = "approved"
		report, err = plan.Apply(t.Context(), sqldb, ApplyOptions{Approve: approval.Hash})
	}
	var refusal *RefusedError
	if errors.As(err, &refusal) || err != nil && strings.Contains(err.Error(), "FOREIGN KEY") || err != nil && strings.Contains(err.Error(), "after it there would be") {
		if after := g.snapshot(t, sqldb); !maps.Equal(after.values, before.values) {
			t.Fatalf("refused with %v, and yet changed", err)
		}
		return "refused"
	}
	if err != nil {
		t.Fatalf("%v\nplan: %s", err, plan)
	}
	if len(report.Incomplete) == 0 {
		if next := planFor(t, sqldb, schema); !next.Empty() {
			t.Fatalf("second plan: %s", next)
		}
		sameAsNew(t, sqldb, schema)
	}
	after := g.snapshot(t, sqldb)
	for table, n := range before.counts {
		if _, kept := schema.Tables[table]; kept && after.counts[table] != n {
			t.Fatalf("table %s had %d rows, now %d", table, n, after.counts[table])
		}
	}
	nulled := map[string]bool{}
	for _, n := range report.Nulled {
		for column := range n.Old {
			nulled[n.Table+"."+column] = true
		}
	}
	for key, text := range before.values { // a column whose definition stays keeps its values
		now, kept := after.values[key]
		name, _, _ := strings.Cut(key, " ")
		filled := strings.Contains(key, "NOT NULL") || strings.Contains(text, "NULL") // backfill may fill it
		if kept && now != text && !nulled[name] && !filled {
			t.Fatalf("%s held %s, now %s", key, text, now)
		}
	}
	return outcome
}

type shot struct {
	counts map[string]int
	values map[string]string // table.column and type: its values
}

func (g *generator) snapshot(t *testing.T, db *sql.DB) shot {
	t.Helper()
	s := shot{counts: map[string]int{}, values: map[string]string{}}
	for _, table := range strings.Fields(query(t, db, g.tables)) {
		s.counts[table] = strings.Count(query(t, db, "SELECT 1 FROM "+table), "\n")
		for _, column := range strings.Split(strings.TrimSpace(query(t, db, fmt.Sprintf(g.columns, table))), "\n") {
			name, _, _ := strings.Cut(column, " ")
			s.values[table+"."+column] = query(t, db, fmt.Sprintf("SELECT "+g.show+" FROM %s ORDER BY a_id", name, table))
		}
	}
	return s
}

// sameAsNew compares with a database that is created from the schema.
func sameAsNew(t *testing.T, db *sql.DB, schema *Schema) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	live, err := Inspect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := Shadow(t.Context(), conn, schema, live)
	if err != nil {
		t.Fatal(err)
	}
	none := &Database{}
	if c := Diff(none, live, fresh); len(c.Notes) > 0 || slices.ContainsFunc(c.Tables, func(tc *TableChange) bool { return !tc.Empty() }) {
		t.Fatalf("differs from a database made from the schema: %v %+v", c.Notes, c.Tables[0])
	}
	if c := Diff(none, fresh, live); slices.ContainsFunc(c.Tables, func(tc *TableChange) bool { return !tc.Empty() }) {
		t.Fatalf("a database made from the schema differs: %+v", c.Tables[0])
	}
}
