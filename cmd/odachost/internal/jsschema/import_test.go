package jsschema

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/migrate"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func importText(t *testing.T, name, source string) (*Result, error) {
	t.Helper()
	return Import(fstest.MapFS{name: {Data: []byte(source)}}, Options{Time: 300 * time.Millisecond})
}

const users = `'use strict'
const stamps = {timestamps: {type: 'timestamps'}}
module.exports = {
  columns: {
    id: {type: 'increments', unique: true},
    name: {type: 'string', length: 255, nullable: false},
    email: {type: 'string', length: 255, nullable: false},
    role: {type: 'enum', values: ['admin', 'user'], default: 'user'},
    is_active: {type: 'boolean', default: true},
    price: {type: 'decimal', precision: 12, scale: 2, default: 0.5},
    ratio: {type: 'float', precision: 8, scale: 2},
    bio: {type: 'text', textType: 'longtext'},
    settings: {type: 'json', default: '{"a": [1, 2.50]}'},
    tag: {type: 'CITEXT'},
    low: {type: 'specificType', length: 'NUMERIC(4,1)'},
    seen: {type: 'timestamp', default: 'CURRENT_TIMESTAMP'},
    team: {type: 'integer', references: {table: 'teams', column: 'id'}, onDelete: 'SET NULL'},
    ...stamps
  },
  indexes: [{columns: ['email'], unique: true}, {columns: ['role', 'is_active']}],
  seed: [{name: 'Admin', email: 'admin@example.com', role: 'admin', settings: {theme: 'no'}, seen: new Date(Date.UTC(2026, 1, 2))}],
  seedKey: 'email'
}
`

const usersYAML = `# from users.js
columns:
  id: {type: increments}
  name: {type: string, length: 255, nullable: false}
  email: {type: string, length: 255, nullable: false}
  role: {type: enum, values: [admin, user], default: user}
  is_active: {type: boolean, default: true}
  price: {type: decimal, precision: 12, scale: 2, default: 0.5}
  ratio: {type: float}
  bio: {type: text}
  settings: {type: json, default: {a: [1, 2.50]}}
  tag: {type: specificType, specificType: CITEXT}
  low: {type: specificType, specificType: 'NUMERIC(4,1)'}
  seen: {type: timestamp, default: {expression: now()}}
  team: {type: integer, references: {table: teams, column: id}, onDelete: SET NULL}
  timestamps: {type: timestamps}
indexes:
  - {columns: [email], unique: true}
  - {columns: [role, is_active]}
seed:
  - {name: Admin, email: admin@example.com, role: admin, settings: {theme: no}, seen: "2026-02-02T00:00:00Z"}
seedKey: email
seedMode: sync
`

func TestImport(t *testing.T) {
	fsys := fstest.MapFS{
		"users.js":            {Data: []byte(users)},
		"teams.js":            {Data: []byte("exports.columns = {id: {type: 'increments'}}")},
		"analytics/events.js": {Data: []byte("module.exports = {columns: {id: {type: 'nanoid', primary: true}}, indexes: []}")},
		"readme.md":           {Data: []byte("no")},
	}
	got, err := Import(fsys, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(usersYAML, string(got.Files["users.yaml"])); d != "" {
		t.Error(d)
	}
	want := []string{
		"users.js:11: precision is left out: type float has none",
		"users.js:11: scale is left out: type float has none",
		"users.js:12: textType is left out: text holds what longtext holds",
	}
	if d := cmp.Diff(want, got.Notes); d != "" {
		t.Error(d)
	}
	written := fstest.MapFS{}
	for name, data := range got.Files {
		written["schema/"+name] = &fstest.MapFile{Data: data}
	}
	schema, err := migrate.LoadFS(written, "schema")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"analytics", "default"}, schema.Connections()); d != "" {
		t.Error(d)
	}
}

func TestImportRefuses(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"syntax", "module.exports = {\n  columns: {,}\n}", "t.js:2: Unexpected token ,"},
		{"module syntax", "\nexport default {}", "t.js:2: Unexpected"},
		{"require", "'use strict'\nconst fs = require('fs')\nmodule.exports = {}", "t.js:2: a schema file cannot require another"},
		{"process", "\nmodule.exports = {columns: {a: {type: process.env.X}}}", "t.js:2: ReferenceError: process is not defined"},
		{"endless", "module.exports = {}\nwhile (true) {}", "t.js:1: runs longer than 300ms"},
		{"endless getter", "module.exports = {get columns() {\n for (;;) {} }}", "t.js:1: runs longer than 300ms"},
		{"deep", "const f = () => f()\nf()", "t.js:1: "},
		{"no object", "module.exports = 7", "t.js:1: module.exports is no object"},
		{"a function", "module.exports = {\ncolumns: {\na: {type: 'integer',\ndefault: () => 1}}}", "t.js:4: a function cannot be carried over"},
		{"a cycle", "const d = {}\nd.x = d\nmodule.exports = {columns: {a: {type: 'json',\ndefault: d}}}", "t.js:4: is too large or refers to itself"},
		{"NaN", "module.exports = {columns: {\na: {type: 'integer', default: 0/0}}}", "t.js:2: NaN cannot be carried over"},
		{"ClickHouse", "module.exports = {\n  engine: 'MergeTree',\n  columns: {a: 'x'}}", "t.js:2: engine is a key of ClickHouse"},
		{"column ttl", "module.exports = {columns: {\na: {type: 'string', ttl: 'x'}}}", "t.js:2: ttl is a key of ClickHouse"},
		{"unknown key", "module.exports = {columns: {id: {type: 'increments'}},\n  hooks: 1}", `t.js:2: there is no key "hooks"`},
		{"unknown column key", "module.exports = {columns: {\nid: {type: 'increments'},\nn: {type: 'string', lengt: 3}}}", `t.js:3: column n: unknown key "lengt": did you mean "length"?`},
		{"reserved", "module.exports = {columns: {\n_odac_x: {type: 'string'}}}", `t.js:2: column name "_odac_x" is reserved`},
		{"no columns", "module.exports = {columns: {}}", "t.js:1: table t has no columns"},
		{"seed without seedKey", "module.exports = {columns: {id: {type: 'increments'}},\nseed: [{id: 1}]}", "t.js:2: seed without seedKey"},
		{"bad seed", "module.exports = {columns: {n: {type: 'integer'}}, seedKey: 'n',\nseed: [{n: 1},\n{n: 'x'}]}", "t.js:3: seed: column n: write a whole number"},
		{"JSON text", "module.exports = {columns: {\nn: {type: 'json', default: '{'}}}", `t.js:2: "{" is no JSON`},
		{"a named column", "const c = {type: 'string', scale: 'x'}\nmodule.exports = {columns: {\nc}}", "t.js:3: column c: scale"},
		{"thrown", "\n\nthrow new Error('no')", "t.js:3: Error: no"},
		{"a source map", "module.exports = {columns: 1}\n//# sourceMappingURL=/etc/passwd", "t.js:1: columns is no object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := importText(t, "t.js", tt.source)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestImportNames(t *testing.T) {
	const ok = "module.exports = {columns: {id: {type: 'increments'}}}"
	for _, name := range []string{"_odac_schema.js", "a b.js", strings.Repeat("x", 64) + ".js"} {
		if _, err := importText(t, name, ok); err == nil || !strings.HasPrefix(err.Error(), name+":1: table name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
