package buffer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// table is a naive database: rows by canonical key, columns by name.
type table map[string]map[string]Value

// step executes one operation as a database would, one at a time. It reports whether the database refused it.
func (db table) step(o *Op, missing Missing) (refused bool) {
	canon := string(appendColumns(nil, o.Key))
	r, exists := db[canon]
	switch o.Kind {
	case KindInsert:
		if exists {
			return true
		}
		r = map[string]Value{}
		for _, c := range slices.Concat(o.Key, o.Set) {
			r[c.Name] = c.Value
		}
		db[canon] = r
	case KindDelete:
		delete(db, canon)
	default:
		if !exists && missing != MissingUpsert {
			return missing == MissingDeadLetter
		}
		next := map[string]Value{}
		for name, v := range r {
			next[name] = v
		}
		for _, c := range o.Set {
			next[c.Name] = c.Value
		}
		for _, d := range o.Add {
			v := next[d.Name]
			if v.typ != TypeNull && v.typ != TypeInt || sumOverflows(v.Int(), d.By) {
				return true
			}
			next[d.Name] = Int(v.Int() + d.By)
		}
		if !exists {
			for _, c := range o.Key {
				next[c.Name] = c.Value
			}
		}
		db[canon] = next
	}
	return false
}

// apply executes a batch in its phases; the keys whose changes were refused are added to refused.
func (db table) apply(b *Batch, refused map[string]bool) {
	do := func(kind Kind, c *Change) {
		o := Op{Kind: kind, Key: c.Key, Set: c.Set, Add: c.Add}
		if db.step(&o, b.Missing) {
			refused[string(appendColumns(nil, c.Key))] = true
		}
	}
	for i := range b.Inserts {
		do(KindInsert, &b.Inserts[i])
	}
	for i := range b.Updates {
		do(KindSet, &b.Updates[i])
	}
	for i := range b.Deletes {
		do(KindDelete, &b.Deletes[i])
	}
}

func (db table) clone() table {
	out := table{}
	for k, r := range db {
		out[k] = map[string]Value{}
		for name, v := range r {
			out[k][name] = v
		}
	}
	return out
}

// overlay is what a reader sees of one row, from the database and an Effect.
func overlay(r map[string]Value, e Effect) map[string]Value {
	if e.Deleted {
		return nil
	}
	if e.Inserted {
		r = map[string]Value{}
	} else if r == nil {
		return nil
	}
	out := map[string]Value{}
	for name, v := range r {
		out[name] = v
	}
	for _, c := range e.Set {
		out[c.Name] = c.Value
	}
	for _, d := range e.Add {
		out[d.Name] = Int(out[d.Name].Int() + d.By)
	}
	return out
}

func sameRow(a, b map[string]Value) bool {
	if (a == nil) != (b == nil) || len(a) > len(b)+8 {
		return false
	}
	for _, m := range []map[string]Value{a, b} {
		for name := range m {
			if a[name] != b[name] { // a column that is not there is NULL
				return false
			}
		}
	}
	return true
}

// program turns bytes into operations on three rows of three columns.
func program(data []byte) (ops []Op) {
	column := func(b byte) string { return string("xyz"[b%3]) }
	for len(data) >= 3 {
		kind, what, val := data[0], data[1], data[2]
		data = data[3:]
		o := Op{Kind: Kind(kind%4 + 1), Key: []Column{{"id", Int(int64(what % 3))}}}
		v := Int(int64(int8(val)))
		switch val {
		case 100:
			v = Null()
		case 101:
			v = Text("text")
		case 102:
			v = Int(math.MaxInt64)
		}
		switch o.Kind {
		case KindInsert, KindSet:
			o.Set = []Column{{column(what / 3), v}}
			if what >= 128 {
				o.Set = append(o.Set, Column{column(what/3 + 1), Int(7)})
			}
		case KindIncrement:
			o.Add = []Delta{{column(what / 3), v.Int()}}
			if what >= 128 {
				o.Add = append(o.Add, Delta{column(what/3 + 2), 3})
			}
		}
		ops = append(ops, o)
	}
	return ops
}

// FuzzFold compares folded batches, and Pending over them, with the operations executed one at a time. A row of which the
// database refused something is left out from there on: its changes of one batch stand or fall together.
func FuzzFold(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 0, 2, 2, 0, 3, 3, 0, 0}, uint8(3), uint8(1), uint8(2))
	f.Add([]byte{0, 0, 1, 2, 3, 2, 2, 3, 3, 0, 1, 1, 3, 0, 0, 2, 0, 5}, uint8(2), uint8(2), uint8(0))
	f.Add([]byte{2, 0, 102, 2, 0, 102, 1, 0, 101, 2, 0, 1, 3, 0, 0, 3, 0, 0, 0, 130, 4, 2, 140, 9}, uint8(9), uint8(1), uint8(1))
	f.Fuzz(runProgram)
}

// TestFoldRandom is the same with programs by chance, in every run of the tests.
func TestFoldRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for range 8_000 {
		data := make([]byte, 3*rnd.IntN(24))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		runProgram(t, data, uint8(rnd.IntN(4)), uint8(rnd.IntN(3)), uint8(rnd.IntN(3)))
	}
}

func runProgram(t *testing.T, data []byte, maxRows, perWrite, policy uint8) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("program %v, %d rows, %d a write, policy %d", data, maxRows, perWrite, policy)
		}
	}()
	missing := Missing(policy % 3)
	ops := program(data)
	naive, refused := table{}, map[string]bool{}
	var batches []*batch
	for lsn := LSN(1); len(ops) > 0; lsn++ {
		n := min(len(ops), int(perWrite%3)+1)
		w, err := newWrite(ops[:n])
		if err != nil {
			n = 1
			if w, err = newWrite(ops[:1]); err != nil {
				t.Fatalf("%+v: %v", ops[0], err)
			}
		}
		for i := range ops[:n] {
			if naive.step(&ops[i], missing) {
				refused[string(appendColumns(nil, ops[i].Key))] = true
			}
		}
		ops = ops[n:]
		w.stamp(lsn)
		w.size = 10
		limit := int(maxRows%4) + 1
		if k := len(batches); k == 0 || !batches[k-1].add(w, limit, 1000) {
			bt := &batch{rows: map[string]*row{}}
			if !bt.add(w, limit, 1000) {
				t.Fatal("an empty batch refuses a write")
			}
			batches = append(batches, bt)
		}
	}
	check(t, naive, refused, batches, missing)
}

func check(t *testing.T, naive table, refused map[string]bool, batches []*batch, missing Missing) {
	folded, from := table{}, LSN(0)
	var stages []table
	for _, bt := range batches {
		stages = append(stages, folded.clone())
		bt.from = from
		out := bt.changes("node", Lane{Conn: "c", Table: "t"}, missing)
		if out.From != from || out.To <= from {
			t.Fatalf("batch from %d to %d after %d", out.From, out.To, from)
		}
		for _, list := range [][]Change{out.Inserts, out.Updates, out.Deletes} {
			if !slices.IsSortedFunc(list, func(a, b Change) int {
				return slices.Compare(appendColumns(nil, a.Key), appendColumns(nil, b.Key))
			}) {
				t.Fatalf("changes are not sorted: %v", list)
			}
		}
		folded.apply(out, refused)
		from = out.To
	}
	for id := range 3 {
		canon := string(appendColumns(nil, []Column{{"id", Int(int64(id))}}))
		if refused[canon] {
			continue
		}
		if !sameRow(folded[canon], naive[canon]) {
			t.Fatalf("row %d: folded %v, one at a time %v", id, folded[canon], naive[canon])
		}
		p := Pending{missing: missing}
		for _, bt := range batches {
			if r := bt.rows[canon]; r != nil {
				p.steps = append(p.steps, pendingStep{bt.to, r})
			}
		}
		for i, db := range stages {
			got := overlay(db[canon], p.Above(batches[i].from, db[canon] != nil))
			if !sameRow(got, naive[canon]) {
				t.Fatalf("row %d with %d batches applied: reads %v, want %v", id, i, got, naive[canon])
			}
		}
	}
}

func TestFold(t *testing.T) {
	key := []Column{{"id", Text("a")}}
	set := func(cols ...Column) Op { return Op{Kind: KindSet, Key: key, Set: cols} }
	add := func(name string, by int64) Op {
		return Op{Kind: KindIncrement, Key: key, Add: []Delta{{name, by}}}
	}
	ins := func(cols ...Column) Op { return Op{Kind: KindInsert, Key: key, Set: cols} }
	del := Op{Kind: KindDelete, Key: key}
	x := func(v int64) Column { return Column{"x", Int(v)} }
	for _, c := range []struct {
		name string
		ops  []Op
		want string // inserts, updates, deletes of the only batch; empty: does not fold
	}{
		{"insert set", []Op{ins(x(1)), set(x(2))}, "[x=int(2)]||"},
		{"insert increment", []Op{ins(x(1)), add("x", 2)}, "[x=int(3)]||"},
		{"insert NULL increment", []Op{ins(Column{Name: "x"}), add("x", 2)}, "[x=int(2)]||"},
		{"insert increment default", []Op{ins(x(1)), add("n", 2)}, "[x=int(1)]|[n+2]|"},
		{"insert increment default set", []Op{ins(x(1)), add("n", 2), set(Column{"n", Int(9)})}, "[n=int(9) x=int(1)]||"},
		{"set set", []Op{set(x(1), Column{"y", Int(1)}), set(x(2))}, "|[x=int(2) y=int(1)]|"},
		{"set increment", []Op{set(x(1)), add("x", 2)}, "|[x=int(3)]|"},
		{"increment set", []Op{add("x", 2), set(x(1))}, "|[x=int(1)]|"},
		{"increment increment", []Op{add("x", 1<<53), add("x", 1)}, "|[x+9007199254740993]|"},
		{"increment back", []Op{add("x", 1), add("x", -1)}, "|[x+0]|"},
		{"insert delete", []Op{ins(x(1)), del}, "||[]"},
		{"set delete", []Op{set(x(1)), del}, "||[]"},
		{"delete delete", []Op{del, del}, "||[]"},
		{"delete insert", []Op{del, ins(x(1))}, ""},
		{"delete set", []Op{del, set(x(1))}, ""},
		{"insert insert", []Op{ins(x(1)), ins(x(2))}, ""},
		{"set insert", []Op{set(x(1)), ins(x(2))}, ""},
		{"overflow", []Op{add("x", math.MaxInt64), add("x", 1)}, ""},
		{"underflow", []Op{set(x(math.MinInt64)), add("x", -1)}, ""},
		{"text increment", []Op{set(Column{"x", Text("1")}), add("x", 1)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := newWrite(c.ops)
			if err != nil {
				if c.want != "" {
					t.Fatal(err)
				}
				return
			}
			bt := &batch{rows: map[string]*row{}}
			bt.add(w, 10, 1000)
			b := bt.changes("", Lane{}, 0)
			if got := show(b.Inserts) + "|" + show(b.Updates) + "|" + show(b.Deletes); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func show(list []Change) (s string) {
	for _, c := range list {
		var parts []string
		for _, col := range c.Set {
			parts = append(parts, col.Name+"="+col.Value.String())
		}
		for _, d := range c.Add {
			parts = append(parts, fmt.Sprintf("%s%+d", d.Name, d.By))
		}
		s += fmt.Sprint(parts)
	}
	return s
}
