package buffertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/odac-run/odachost/buffer"
)

// TestTarget tests an implementation of buffer.Target against the contract in its documentation.
func TestTarget(t *testing.T, newFixture New) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*harness)
	}{
		{"Ledger", testLedger},
		{"Fence", testFence},
		{"Phases", testPhases},
		{"Values", testValues},
		{"IncrementExact", testIncrementExact},
		{"Poison", testPoison},
		{"PoisonAmongMany", testPoisonAmongMany},
		{"PoisonUnknownColumn", testUnknownColumn},
		{"PoisonUnknownTable", testUnknownTable},
		{"Missing", testMissing},
		{"NothingToDo", testNothingToDo},
		{"Wide", testWide},
		{"Cancelled", testCancelled},
		{"Nodes", testNodes},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(newHarness(t, newFixture, "items")) })
	}
	t.Run("InsertWithoutKey", func(t *testing.T) { testLoose(newHarness(t, newFixture, "events")) })
}

// testLedger: one row for each node and lane, moved by each Apply, even one without changes.
func testLedger(h *harness) {
	h.apply(h.batch(nil, nil, nil))
	h.apply(h.batch([]buffer.Change{insert("a", text("title", "A"))}, nil, nil))
	for _, other := range []struct {
		node string
		lane buffer.Lane
	}{
		{"other", h.lane},
		{node, buffer.Lane{Tenant: h.lane.Tenant, Conn: h.lane.Conn, Table: "events"}},
	} {
		if at, err := h.Target.Applied(h.t.Context(), other.node, other.lane); err != nil || at != 0 {
			h.t.Errorf("Applied of %s %s = %d, %v; want 0", other.node, other.lane, at, err)
		}
	}
	b := h.batch(nil, nil, nil)
	b.To = 1 << 62 // LSNs use 63 bits
	h.apply(b)
}

// testFence: a batch that starts elsewhere than the ledger stands changes nothing.
func testFence(h *harness) {
	first := h.batch([]buffer.Change{insert("a", text("title", "A"), integer("n", 1))}, nil, nil)
	h.apply(first)
	next := h.batch(nil, []buffer.Change{add("a", "n", 10)}, nil)
	for _, from := range []buffer.LSN{0, h.at - 1, h.at + 1} {
		stale := *next
		stale.From = from
		if _, err := h.Target.Apply(h.t.Context(), &stale); !errors.Is(err, buffer.ErrFenced) {
			h.t.Errorf("Apply from %d with the ledger at %d: %v, want ErrFenced", from, h.at, err)
		}
		h.wantApplied(h.at)
	}
	h.want("a", []string{"n"}, buffer.Int(1))
	h.apply(next)
	if _, err := h.Target.Apply(h.t.Context(), next); !errors.Is(err, buffer.ErrFenced) {
		h.t.Errorf("the same batch again: %v, want ErrFenced", err)
	}
	h.want("a", []string{"n"}, buffer.Int(11))
}

// testPhases: inserts, then updates, then deletes.
func testPhases(h *harness) {
	h.apply(h.batch([]buffer.Change{
		insert("a", text("title", "A"), integer("n", 1)), insert("b", text("title", "B")), insert("c", text("title", "C")),
	}, nil, nil))
	h.apply(h.batch(
		[]buffer.Change{insert("d", text("title", "D"))},
		[]buffer.Change{
			{Key: key("a"), Set: []buffer.Column{text("title", "A2")}, Add: []buffer.Delta{{Name: "c01", By: -4}, {Name: "n", By: 5}}},
			set("b", text("note", "seen")),
			add("d", "n", 7),
		},
		[]buffer.Change{{Key: key("c")}},
	))
	h.want("a", []string{"title", "n", "c01"}, buffer.Text("A2"), buffer.Int(6), buffer.Int(-4))
	h.want("b", []string{"title", "note"}, buffer.Text("B"), buffer.Text("seen"))
	h.want("c", []string{"title"})
	h.want("d", []string{"n"}, buffer.Int(7))
	h.wantCount("items", 3)
}

// testValues: values arrive as they are, nothing is read out of strings.
func testValues(h *harness) {
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	hostile := `'); DROP TABLE items; -- " \ ? $1 :n @n {} é 日本`
	h.apply(h.batch([]buffer.Change{
		insert(hostile, buffer.Column{Name: "data", Value: buffer.Bytes(data)}, integer("n", math.MinInt64), text("title", hostile)),
		insert("{}", integer("n", 1<<53+1), text("note", "123"), text("title", "")),
	}, nil, nil))
	h.want(hostile, []string{"data", "n", "title", "note"},
		buffer.Bytes(data), buffer.Int(math.MinInt64), buffer.Text(hostile), buffer.Null())
	h.apply(h.batch(nil, []buffer.Change{set("{}", text("note", "0x10"), text("title", "null"))}, nil))
	h.want("{}", []string{"n", "note", "title"}, buffer.Int(1<<53+1), buffer.Text("0x10"), buffer.Text("null"))
	h.want(hostile, []string{"title"}, buffer.Text(hostile))
	h.apply(h.batch(nil, []buffer.Change{set("{}", buffer.Column{Name: "note", Value: buffer.Null()})}, nil))
	h.want("{}", []string{"note"}, buffer.Null())
}

// testIncrementExact: NULL counts as 0, results are 64-bit integers, and what is not is set aside and changes nothing.
func testIncrementExact(h *harness) {
	h.apply(h.batch([]buffer.Change{
		insert("big", integer("n", math.MaxInt64-1), text("title", "t")),
		insert("low", integer("n", math.MinInt64), text("title", "t")),
		insert("max", integer("n", math.MaxInt64), text("title", "t")),
		insert("null", text("title", "t")),
		insert("text", text("note", "5 apples"), text("title", "t")),
	}, nil, nil))
	res := h.apply(h.batch(nil, []buffer.Change{
		add("big", "n", 1), add("low", "n", -1), add("max", "n", 1), add("null", "n", math.MinInt64), add("text", "note", 1),
	}, nil))
	h.wantDead(res, buffer.KindSet, "low", "max", "text")
	h.want("big", []string{"n"}, buffer.Int(math.MaxInt64))
	h.want("low", []string{"n"}, buffer.Int(math.MinInt64))
	h.want("max", []string{"n"}, buffer.Int(math.MaxInt64))
	h.want("null", []string{"n"}, buffer.Int(math.MinInt64))
	h.want("text", []string{"note"}, buffer.Text("5 apples"))
	for range 10 {
		h.apply(h.batch(nil, []buffer.Change{add("null", "n", 1<<53+1)}, nil))
	}
	h.want("null", []string{"n"}, buffer.Int(math.MinInt64+10*(1<<53+1)))
	res = h.apply(h.batch(nil, []buffer.Change{{
		Key: key("max"), Set: []buffer.Column{text("title", "changed")}, Add: []buffer.Delta{{Name: "n", By: 1}},
	}}, nil))
	h.wantDead(res, buffer.KindSet, "max")
	h.want("max", []string{"title"}, buffer.Text("t")) // a change is made whole or not at all
}

func longTitle() buffer.Column { return text("title", fmt.Sprintf("%0101d", 0)) }

// testPoison: what the database refuses is set aside, alone, with its reason.
func testPoison(h *harness) {
	h.apply(h.batch([]buffer.Change{insert("a", text("title", "A")), insert("b", text("title", "B"))}, nil, nil))
	res := h.apply(h.batch([]buffer.Change{
		insert("a", text("title", "second")),               // duplicate key
		insert("c", text("note", "no title")),              // NOT NULL
		insert("d", longTitle()),                           // CHECK
		insert("e", text("title", "E"), integer("n", 1)),   // sound
		insert("f", buffer.Column{Name: "title"}),          // NULL in NOT NULL
		insert("g", text("title", "G"), text("note", "g")), // sound
	}, nil, nil))
	h.wantDead(res, buffer.KindInsert, "a", "c", "d", "f")
	h.want("a", []string{"title"}, buffer.Text("A"))
	h.want("e", []string{"title", "n"}, buffer.Text("E"), buffer.Int(1))
	h.want("g", []string{"note"}, buffer.Text("g"))
	h.wantCount("items", 4)

	res = h.apply(h.batch(nil, []buffer.Change{
		set("a", longTitle(), text("note", "not set")), set("b", text("title", "B2")), set("e", buffer.Column{Name: "title"}),
	}, nil))
	h.wantDead(res, buffer.KindSet, "a", "e")
	h.want("a", []string{"title", "note"}, buffer.Text("A"), buffer.Null())
	h.want("b", []string{"title"}, buffer.Text("B2"))

	// A batch of nothing but poison moves the ledger.
	res = h.apply(h.batch([]buffer.Change{insert("a", text("title", "x")), insert("b", text("title", "x"))}, nil, nil))
	h.wantDead(res, buffer.KindInsert, "a", "b")
}

// testPoisonAmongMany: bisecting finds each bad row among thousands.
func testPoisonAmongMany(h *harness) {
	const rows = 3000
	var inserts, updates []buffer.Change
	var bad []string
	for i := range rows {
		id := fmt.Sprintf("k%06d", i)
		c := insert(id, integer("n", int64(i)), text("title", "t"))
		if i == 0 || i == rows-1 || i%701 == 0 || i == 702 {
			c = insert(id, longTitle())
			bad = append(bad, id)
		} else {
			updates = append(updates, add(id, "n", 1))
		}
		inserts = append(inserts, c)
	}
	h.wantDead(h.apply(h.batch(inserts, nil, nil)), buffer.KindInsert, bad...)
	h.wantCount("items", rows-len(bad))
	h.wantDead(h.apply(h.batch(nil, updates, nil)), buffer.KindSet)
	h.want("k000703", []string{"n"}, buffer.Int(704))
}

// testUnknownColumn: names are quoted, and a name that is not a column is the row's fault.
func testUnknownColumn(h *harness) {
	h.apply(h.batch([]buffer.Change{insert("a", integer("n", 1), text("title", "A"))}, nil, nil))
	evil := `n" = 99, "title`
	res := h.apply(h.batch(
		[]buffer.Change{insert("b", text("nowhere", "x"), text("title", "B")), insert("c", text("title", "C"))},
		[]buffer.Change{set("a", text(evil, "x"))}, nil))
	if len(res.Dead) != 2 {
		h.t.Errorf("dead: %v, want b and a", res.Dead)
	}
	h.want("a", []string{"n", "title"}, buffer.Int(1), buffer.Text("A"))
	h.want("c", []string{"title"}, buffer.Text("C"))
	h.wantCount("items", 2)
}

// testUnknownTable: a table that is gone must not hold the log for ever.
func testUnknownTable(h *harness) {
	h.lane.Table = "nowhere"
	h.at = 0
	h.wantApplied(0)
	res := h.apply(h.batch([]buffer.Change{insert("a", text("title", "A"))}, []buffer.Change{add("b", "n", 1)}, []buffer.Change{{Key: key("c")}}))
	if len(res.Dead) != 3 {
		h.t.Errorf("dead: %v, want all three", res.Dead)
	}
}

// testMissing: updates of rows that do not exist, by policy.
func testMissing(h *harness) {
	updates := func(prefix string) []buffer.Change {
		return []buffer.Change{
			{Key: key(prefix + "1"), Set: []buffer.Column{text("title", "T")}, Add: []buffer.Delta{{Name: "n", By: 3}}},
			add(prefix+"2", "n", 1), // an upsert of it lacks a title
		}
	}
	h.wantDead(h.apply(h.batch(nil, updates("a"), nil)), buffer.KindSet, "a1", "a2")
	h.wantCount("items", 0)

	b := h.batch(nil, updates("b"), nil)
	b.Missing = buffer.MissingDrop
	res := h.apply(b)
	h.wantDead(res, buffer.KindSet)
	if res.Dropped != 2 {
		h.t.Errorf("Dropped = %d, want 2", res.Dropped)
	}
	h.wantCount("items", 0)

	b = h.batch(nil, updates("c"), nil)
	b.Missing = buffer.MissingUpsert
	h.wantDead(h.apply(b), buffer.KindSet, "c2")
	h.want("c1", []string{"title", "n"}, buffer.Text("T"), buffer.Int(3))
	b = h.batch(nil, updates("c")[:1], nil)
	b.Missing = buffer.MissingUpsert
	h.apply(b)
	h.want("c1", []string{"title", "n"}, buffer.Text("T"), buffer.Int(6))
	h.wantCount("items", 1)
}

// testNothingToDo: a set to what is there already, and a delete of what is not, succeed.
func testNothingToDo(h *harness) {
	h.apply(h.batch([]buffer.Change{insert("a", integer("n", 5), text("title", "A"))}, nil, nil))
	res := h.apply(h.batch(nil, []buffer.Change{set("a", integer("n", 5), text("title", "A"))}, []buffer.Change{{Key: key("gone")}}))
	h.wantDead(res, buffer.KindSet)
	res = h.apply(h.batch(nil, []buffer.Change{add("a", "n", 0)}, nil))
	h.wantDead(res, buffer.KindSet)
	h.want("a", []string{"n"}, buffer.Int(5))
}

// testWide: more bind parameters than any dialect takes in one statement, and changes of different columns.
func testWide(h *harness) {
	const rows = 5000
	wide := func(c buffer.Change, i int) buffer.Change {
		for col := 1; col <= 1+i%20; col++ {
			c.Set = append(c.Set, integer(fmt.Sprintf("c%02d", col), int64(i*100+col)))
		}
		return c
	}
	inserts, updates := make([]buffer.Change, rows), make([]buffer.Change, rows)
	for i := range rows {
		id := fmt.Sprintf("k%06d", i)
		inserts[i] = wide(insert(id), i)
		inserts[i].Set = append(inserts[i].Set, text("title", id))
		updates[i] = wide(set(id), i+1)
	}
	h.wantDead(h.apply(h.batch(inserts, nil, nil)), buffer.KindInsert)
	h.wantCount("items", rows)
	h.want("k000019", []string{"c01", "c20", "title"}, buffer.Int(1901), buffer.Int(1920), buffer.Text("k000019"))
	h.want("k000018", []string{"c19", "c20"}, buffer.Int(1819), buffer.Null())
	h.wantDead(h.apply(h.batch(nil, updates, nil)), buffer.KindSet)
	h.want("k000018", []string{"c01", "c20", "title"}, buffer.Int(1901), buffer.Int(1920), buffer.Text("k000018"))
}

// testCancelled: whatever a cancelled Apply says, the ledger tells whether it was applied, and the rows agree.
func testCancelled(h *harness) {
	ctx, cancel := context.WithCancel(h.t.Context())
	cancel()
	if _, err := h.Target.Apply(ctx, h.batch([]buffer.Change{insert("a", text("title", "A"))}, nil, nil)); err == nil {
		h.t.Error("Apply with a cancelled context reports success")
	}
	h.wantApplied(0)
	h.wantCount("items", 0)
	for i := range 30 {
		ctx, cancel := context.WithCancel(h.t.Context())
		var changes []buffer.Change
		for j := range 500 {
			changes = append(changes, insert(fmt.Sprintf("%d-%d", i, j), text("title", "t")))
		}
		b := h.batch(changes, nil, nil)
		done := make(chan struct{})
		go func() { defer close(done); cancel() }()
		_, err := h.Target.Apply(ctx, b)
		<-done
		before, _ := h.Count(h.t.Context(), "items")
		at, aerr := h.Target.Applied(h.t.Context(), node, h.lane)
		switch {
		case aerr != nil:
			h.t.Fatalf("Applied after a cancelled Apply: %v", aerr)
		case at == b.To:
		case at == b.From && err != nil:
		default:
			h.t.Fatalf("ledger at %d, Apply from %d to %d said %v", at, b.From, b.To, err)
		}
		if at == b.To {
			h.at = at
		}
		rows, err := h.Count(h.t.Context(), "items")
		if err != nil || rows != before || rows%500 != 0 {
			h.t.Fatalf("%d rows, then %d, %v: a batch was applied in part or later", before, rows, err)
		}
	}
}

// testNodes: nodes that write to the same rows at the same time neither deadlock for good nor lose a count.
func testNodes(h *harness) {
	const nodes, rounds, rows = 4, 10, 50
	var inserts []buffer.Change
	for i := range rows {
		inserts = append(inserts, insert(fmt.Sprintf("k%03d", i), text("title", "t")))
	}
	h.apply(h.batch(inserts, nil, nil))
	var wg sync.WaitGroup
	for n := range nodes {
		wg.Go(func() {
			name := fmt.Sprintf("node%d", n)
			if at, err := h.Target.Applied(h.t.Context(), name, h.lane); err != nil || at != 0 {
				h.t.Errorf("%s: Applied = %d, %v", name, at, err)
			}
			for r := range rounds {
				b := &buffer.Batch{Node: name, Lane: h.lane, From: buffer.LSN(r), To: buffer.LSN(r + 1)}
				for i := range rows {
					c := add(fmt.Sprintf("k%03d", i), "n", int64(n+1))
					c.First, c.Last = b.To, b.To
					b.Updates = append(b.Updates, c)
				}
				if !h.applyUntil(b) {
					return
				}
			}
		})
	}
	wg.Wait()
	h.want("k000", []string{"n"}, buffer.Int(rounds*nodes*(nodes+1)/2))
	h.want(fmt.Sprintf("k%03d", rows-1), []string{"n"}, buffer.Int(rounds*nodes*(nodes+1)/2))
}

// applyUntil does as the buffer does: on an error it reads the ledger and tries again.
func (h *harness) applyUntil(b *buffer.Batch) bool {
	for range 1000 {
		_, err := h.Target.Apply(h.t.Context(), b)
		if err == nil {
			return true
		}
		at, aerr := h.Target.Applied(h.t.Context(), b.Node, b.Lane)
		if aerr == nil && at == b.To {
			return true
		}
		if errors.Is(err, buffer.ErrFenced) {
			h.t.Errorf("%s: %v", b.Node, err)
			return false
		}
	}
	h.t.Errorf("%s: still failing after 1000 tries", b.Node)
	return false
}

// testLoose: inserts whose key the database makes.
func testLoose(h *harness) {
	inserts := []buffer.Change{
		{Set: []buffer.Column{text("note", "one")}},
		{Set: []buffer.Column{{Name: "note"}}}, // NOT NULL
		{Set: []buffer.Column{text("note", "one")}},
	}
	res := h.apply(h.batch(inserts, nil, nil))
	if len(res.Dead) != 1 || res.Dead[0].First != inserts[1].First || len(res.Dead[0].Key) != 0 {
		h.t.Errorf("dead: %+v, want the second", res.Dead)
	}
	h.wantCount("events", 2)
}
