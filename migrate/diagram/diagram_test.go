package diagram

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/odac-run/odachost/migrate"
)

var update = flag.Bool("update", false, "write the golden pictures")

// load reads the schema files of a folder.
func load(t testing.TB, dir string) *migrate.Schema {
	t.Helper()
	s, err := migrate.LoadFS(os.DirFS("testdata"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// random makes a schema of n tables whose keys mostly point to a few of them.
func random(t testing.TB, n int, seed uint64) *migrate.Schema {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	fsys := fstest.MapFS{}
	for i := range n {
		text := "columns:\n  id: {type: increments}\n  name: {type: string}\n"
		for j := range r.IntN(10) {
			text += fmt.Sprintf("  field_%d: {type: decimal, nullable: false}\n", j)
		}
		for j := range r.IntN(4) {
			to := r.IntN(n)
			if r.IntN(3) > 0 {
				to = r.IntN(min(n, 6))
			}
			text += fmt.Sprintf("  key_%d: {type: integer, references: {table: table_%02d}}\n", j, to)
		}
		fsys[fmt.Sprintf("table_%02d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := migrate.LoadFS(fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGolden(t *testing.T) {
	shop, next := load(t, "shop"), load(t, "shop2")
	for name, picture := range map[string][]byte{
		"shop.svg": Schema(shop), "change.svg": Change(shop, next), "empty.svg": Schema(&migrate.Schema{}), "large.svg": Schema(random(t, 60, 7)),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(picture, want) {
			t.Errorf("%s differs: look at it, then go test -update", name)
		}
		wellFormed(t, name, picture)
	}
}

func wellFormed(t *testing.T, name string, picture []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(picture))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestLayout looks for tables that overlap, lines that cross a table, and lines of different nets that lie on one another.
func TestLayout(t *testing.T) {
	for seed := range uint64(40) {
		s := random(t, 5+int(seed)*3/2, seed)
		g := build(s, s, false)
		picture := g.draw("x")
		if again := build(s, s, false).draw("x"); !bytes.Equal(picture, again) {
			t.Errorf("seed %d: the same schema gives another picture", seed)
		}
		for i, a := range g.boxes {
			for _, b := range g.boxes[:i] {
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Errorf("seed %d: %s and %s overlap", seed, a.name, b.name)
				}
			}
		}
		checkLines(t, seed, g)
	}
}

func checkLines(t *testing.T, seed uint64, g *graph) {
	t.Helper()
	var lines []line
	for _, p := range g.all {
		for _, n := range p.nets {
			lines = append(lines, n.pieces(p)...)
		}
	}
	if len(lines) < len(g.links) {
		t.Fatalf("seed %d: %d pieces for %d keys", seed, len(lines), len(g.links))
	}
	for i, a := range lines {
		for _, b := range g.boxes {
			if a.x1 < b.x+b.w && b.x < a.x2 && a.y1 <= b.y+b.h && b.y <= a.y2 {
				t.Errorf("seed %d: a line crosses %s", seed, b.name)
			}
		}
		for _, o := range lines[:i] {
			if a.net == o.net {
				continue
			}
			if a.x2 == o.x2 && a.y2 == o.y2 && a.y1 == a.y2 && o.y1 == o.y2 {
				continue // they end at the same column
			}
			flat := a.y1 == a.y2 && o.y1 == o.y2 && a.y1 == o.y1 && a.x1 < o.x2 && o.x1 < a.x2
			upright := a.x1 == a.x2 && o.x1 == o.x2 && a.x1 == o.x1 && a.y1 < o.y2 && o.y1 < a.y2
			if flat || upright {
				t.Errorf("seed %d: two lines lie on one another: %v %v", seed, a, o)
			}
		}
	}
}

func BenchmarkDraw60(b *testing.B) {
	s := random(b, 60, 7)
	for b.Loop() {
		Schema(s)
	}
}
