package migrate

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func lintSchema(t *testing.T, files map[string]string) *Schema {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["schema/"+name+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := LoadFS(fsys, "schema")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func printed(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		if f.Error {
			b.WriteString("error: ")
		}
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

func TestLint(t *testing.T) {
	got := printed(Lint(lintSchema(t, map[string]string{
		"users": `columns:
  id: {type: bigIncrements}
  email: {type: string, unique: true}
  order: text
  Name: text
`,
		"posts": `columns:
  id: {type: increments}
  user_id: {type: integer, references: {table: users}}
  editor_id: {type: bigInteger, references: {table: users}}
  team_id: {type: integer, references: {table: teams}}
  slug: {type: text, unique: true, nullable: false}
  a: integer
  b: integer
indexes:
  - {columns: [editor_id, a]}
  - {columns: [a]}
  - {columns: [a, b], name: taken}
  - {columns: [id]}
`,
		"tags": `columns:
  a: {type: integer, nullable: false}
  b: {type: string, references: {table: users, column: email}}
  c: {type: string, references: {table: users, column: nope}}
indexes:
  - {columns: [a], name: taken}
`,
	})))
	want := `schema/posts.yaml:3: foreign-key-index: foreign key (user_id) references users (id) has no index: a delete in users reads all of posts: add indexes: - {columns: [user_id]}
error: schema/posts.yaml:3: foreign-key-type: column user_id is integer and references users.id, which is bigInteger: make them the same
schema/posts.yaml:5: foreign-key-index: foreign key (team_id) references teams (id) has no index: a delete in teams reads all of posts: add indexes: - {columns: [team_id]}
schema/posts.yaml:5: foreign-key-table: foreign key (team_id) references teams (id): there is no teams.yaml here: the table has to be there already, and a plan asks for approval
error: schema/posts.yaml:6: key-type: index posts_slug_unique: MySQL has no index over type text (slug): use a string with a length
schema/posts.yaml:11: double-index: index posts_a_index is the beginning of taken, which does its work too: remove it
schema/posts.yaml:13: double-index: index posts_id_index is the beginning of the primary key, which does its work too: remove it
schema/tags.yaml:1: primary-key: table tags has no primary key: its rows cannot be told apart, and what a plan takes away cannot be brought back
schema/tags.yaml:3: foreign-key-index: foreign key (b) references users (email) has no index: a delete in users reads all of tags: add indexes: - {columns: [b]}
schema/tags.yaml:4: foreign-key-index: foreign key (c) references users (nope) has no index: a delete in users reads all of tags: add indexes: - {columns: [c]}
error: schema/tags.yaml:4: foreign-key-target: references users.nope, and there is no such column: did you mean "Name"?
error: schema/tags.yaml:6: index-name: index name taken is also used in table posts: give it another
schema/users.yaml:3: nullable-unique: unique users_email_unique: rows where email is null are never equal, so any number of them may be there: write nullable: false
schema/users.yaml:4: reserved-word: column order is a word of SQL: text queries have to quote it
schema/users.yaml:5: upper-case: column Name has upper case letters: text queries have to quote it on PostgreSQL
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	clean := lintSchema(t, map[string]string{
		"users": "columns: {id: {type: nanoid, primary: true}, mail: {type: string, nullable: false, unique: true}}\n",
		"posts": "columns: {id: {type: increments}, user: {type: string, length: 21, references: {table: users}}}\nindexes: [{columns: [user, id]}]\n",
	})
	if got := printed(Lint(clean)); strings.Contains(got, "foreign-key") {
		t.Error(got)
	}
}

func TestLintAgainst(t *testing.T) {
	old := lintSchema(t, map[string]string{
		"gone": "columns: {id: {type: increments}}\n",
		"t": `columns:
  id: {type: increments}
  a: {type: string, length: 100}
  b: {type: decimal, precision: 10, scale: 2}
  c: {type: enum, values: [x, y]}
  d: {type: integer}
  e: {type: text}
  f: {type: string}
  g: {type: bigInteger}
  h: {type: text}
  wide: {type: string, length: 10}
  big: {type: integer}
`,
	})
	s := lintSchema(t, map[string]string{
		"other": "columns: {id: {type: increments}}\n",
		"t": `columns:
  id: {type: bigIncrements}
  a: {type: string, length: 10}
  b: {type: decimal, precision: 10, scale: 3}
  c: {type: enum, values: [y, z]}
  d: {type: integer, unsigned: true, nullable: false}
  e2: {type: text}
  f: {type: string, unique: true}
  g: {type: integer, references: {table: other}}
  i: {type: boolean, nullable: false}
  j: {type: text, renamedFrom: h}
  wide: {type: text}
  big: {type: bigInteger}
`,
	})
	want := `schema/gone.yaml:1: drops-table: table gone goes, with all its rows: a plan asks for approval, and keeps it for a while
schema/t.yaml:1: drops-column: column t.e goes, with its values (it was in schema/t.yaml:7): a plan asks for approval, and keeps it for a while
schema/t.yaml:3: narrows: column t.a: string(100) to string(10): a row that would lose its value is refused
schema/t.yaml:4: narrows: column t.b: decimal(10,2) to decimal(10,3): a row that would lose its value is refused
schema/t.yaml:5: narrows: column t.c: enum value "x" goes: a row that would lose its value is refused
schema/t.yaml:6: narrows: column t.d: it becomes unsigned: a row that would lose its value is refused
schema/t.yaml:6: not-null: column t.d becomes not null: rows where it is null are refused: write backfill: <value>
error: schema/t.yaml:7: ambiguous-rename: column e2 comes as e of the same type goes: write renamedFrom: e, or renamedFrom: null if it is another
schema/t.yaml:8: adds-unique: unique over (f) is new: rows that are equal there are refused
schema/t.yaml:9: narrows: column t.g: bigInteger to integer: a row that would lose its value is refused
schema/t.yaml:9: adds-foreign-key: foreign key (g) references other (id) is new: rows without a parent are set to null, or the key waits
schema/t.yaml:10: adds-not-null: column t.i is new and not null: a table with rows refuses it: write a default or backfill: <value>
`
	if d := cmp.Diff(want, printed(LintAgainst(old, s))); d != "" {
		t.Error(d)
	}
	if got := LintAgainst(s, s); len(got) > 0 {
		t.Error(printed(got))
	}
}
