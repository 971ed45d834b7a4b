package migrate

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadFS(t *testing.T) {
	fsys := fstest.MapFS{
		"schema/users.yaml":            {Data: []byte("columns:\n  id: {type: nanoid, primary: true}\n  times: {type: timestamps}\n")},
		"schema/analytics/events.yaml": {Data: []byte("columns: {id: increments, price: decimal}")},
		"schema/.hidden":               {Data: []byte("x")},
		"schema/notes.txt":             {Data: []byte("x")},
	}
	schema, err := LoadFS(fsys, "schema")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(schema.Connections(), " "); got != "analytics default" {
		t.Errorf("connections %q", got)
	}
	users := schema.Tables["users"]
	if n := users.NanoIDs()["id"]; n != 21 || len(users.PrimaryKey) != 1 || users.Column("CREATED_AT") == nil {
		t.Errorf("users: %+v", users)
	}
	if c := schema.Connection("analytics").Tables["events"].Column("price"); c == nil || c.Precision != 10 || c.Scale != 2 {
		t.Errorf("price: %+v", c)
	}
	if n := len(schema.Connection("nowhere").Tables); n != 0 {
		t.Errorf("nowhere has %d tables", n)
	}
	if s, err := LoadFS(fsys, "nothing"); err != nil || len(s.Tables) != 0 {
		t.Errorf("missing folder: %v, %v", s, err)
	}
}

func TestLoadFSNames(t *testing.T) {
	for file, want := range map[string]string{
		"schema/_odac_x.yaml":       "reserved",
		"schema/SQLite_x.yaml":      "reserved",
		"schema/default/x.yaml":     "directly under schema",
		"schema/sub dir/x.yaml":     "is no connection name",
		"schema/users.yaml":         "differs from Users.yaml only in case",
		"schema/analytics/x y.yaml": "use letters, digits and _",
	} {
		fsys := fstest.MapFS{"schema/Users.yaml": {Data: []byte("columns: {id: increments}")}, file: {Data: []byte("columns: {id: increments}")}}
		if _, err := LoadFS(fsys, "schema"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

func TestNewNanoID(t *testing.T) {
	counts := map[rune]int{}
	const draws = 62 * 1000
	id, err := newNanoID(draws)
	if err != nil || len(id) != draws {
		t.Fatalf("%d characters, %v", len(id), err)
	}
	for _, r := range id {
		counts[r]++
	}
	for _, r := range nanoidAlphabet {
		if n := counts[r]; n < 800 || n > 1200 { // six standard deviations
			t.Errorf("%q was drawn %d times of %d", r, n, draws)
		}
	}
	if len(counts) != len(nanoidAlphabet) {
		t.Errorf("%d letters", len(counts))
	}
}

// FuzzLoad: no file makes the loader panic, and what it accepts SQLite accepts or refuses with an error.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(tenSteps))
	f.Add([]byte("columns:\n  a: {type: enum, values: [x], default: x, backfill: {expression: now()}}\n  t: {type: timestamps}\nseedKey: a\nseed: [{a: x}]"))
	f.Add([]byte("columns: {a: {type: json, default: {b: [1, .inf]}}, b: {type: binary, default: !!binary AA==}}"))
	f.Add([]byte("columns: {a: {type: string, default: {expression: \"lower('x')\"}}}\nindexes: [{columns: a, where: a > 1}]"))
	f.Add([]byte("a: &a [*a, *a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		schema, err := LoadFS(fstest.MapFS{"s/t.yaml": {Data: data}}, "s")
		if err != nil {
			return
		}
		shadow, err := sqlite{}.shadow(t.Context(), nil, resolve(schema, nil))
		if err != nil {
			return
		}
		again, err := sqlite{}.shadow(t.Context(), nil, resolve(schema, nil))
		if err != nil {
			t.Fatal(err)
		}
		if c := Diff(again, shadow, again); len(c.Tables)+len(c.Drift)+len(c.Notes) > 0 {
			t.Fatalf("differs from itself: %+v", c)
		}
	})
}

// FuzzParse: the parser of CREATE TABLE never panics, and what it prints it reads again as the same.
func FuzzParse(f *testing.F) {
	f.Add(`CREATE TABLE "a b" (x INT /* c */ DEFAULT (1 + (2)) CHECK (x IN ('a', 'b')) -- d
		, [y] VARCHAR(10) COLLATE NOCASE NOT NULL REFERENCES p (q) ON DELETE SET NULL NOT DEFERRABLE, CONSTRAINT k PRIMARY KEY (x)) WITHOUT ROWID`)
	f.Add("CREATE TABLE t (a, b GENERATED ALWAYS AS (a * 2) STORED, UNIQUE (a), FOREIGN KEY (a, b) REFERENCES t)")
	f.Add("CREATE VIRTUAL TABLE t USING fts5(x)")
	f.Fuzz(func(t *testing.T, text string) {
		info := parseTableInfo("t", text)
		if info.Opaque != "" {
			return
		}
		again := parseTableInfo("t", info.create.sql("t"))
		if again.Opaque != "" {
			t.Fatalf("printed %q, cannot read it: %s", info.create.sql("t"), again.Opaque)
		}
		if len(again.Columns) != len(info.Columns) || len(again.ForeignKeys) != len(info.ForeignKeys) {
			t.Fatalf("%q became %q", text, info.create.sql("t"))
		}
	})
}
