package odachost_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// This file is the house's plan as a test. Each rule says why when it is broken; layout_rules_test.go proves that each can be.

const module = "github.com/odac-run/odachost"

// rooms are the folders that may stand at the top.
var rooms = []string{
	"abi", "bench", "buffer", "bin", "cache", "cmd", "docs", "examples", "host", "internal", "migrate", "plugins", "sdk", "ws",
}

// grant says what the packages below a folder may import of this module. The longest folder that fits a package counts.
type grant struct {
	below  string
	allow  []string // folders; one's own is always allowed, and in tests internal/testkit
	reason string
}

var grants = []grant{
	{".", nil, "the root holds no code"},
	{"abi", nil, "the contract is a leaf: guests, hosts and tools of every age import it"},
	{"sdk", []string{"abi"}, "a plugin carries what the SDK imports in its wasm"},
	{"cache", nil, "the cache is of use without WebAssembly and without the rest; it declares the small interface that it needs"},
	{"buffer", nil, "the buffer is of use without WebAssembly and without the rest; it declares the small interface that it needs"},
	{"ws", nil, "the hub is of use without WebAssembly and without the rest; it declares the small interface that it needs"},
	{"migrate", nil, "migrations are of use without WebAssembly and without the rest; they declare the small interface that they need"},
	{"plugins", []string{"abi"}, "the control plane decides what runs, it does not run it: that is for host"},
	{"internal/database", []string{"abi", "buffer"}, "the database layer shares messages and buffer types; what joins it to cache and migrate is host"},
	{"internal/console", nil, "the console prints and knows nothing of what it prints"},
	{"internal/testkit", nil, "every package's tests import testkit, so it can import none of them"},
	{
		"host",
		[]string{"abi", "buffer", "cache", "internal/database", "migrate", "plugins", "ws"},
		"host composes the parts; commands, console and examples come after it",
	},
	{
		"cmd",
		[]string{"abi", "buffer", "cache", "host", "internal/console", "internal/database", "migrate", "plugins", "ws"},
		"cmd wires; it needs no SDK, and examples are built by the toolchain",
	},
	{
		"examples",
		[]string{"abi", "sdk", "host", "plugins", "cache", "buffer", "ws", "migrate"},
		"an example shows what somebody outside can write, so internal is out of reach",
	},
}

// fences keep a module of others below one folder.
var fences = []struct{ module, below, reason string }{
	{"github.com/tetratelabs/wazero", "host/internal", "the engine has one seam: all others speak of revisions and calls"},
	{"github.com/extism/go-pdk", "sdk", "only guests have a PDK"},
	{"github.com/dop251/goja", "cmd/odachost/internal/jsschema", "JavaScript is read once, at import: no package that runs needs an interpreter of it"},
}

const (
	maxFileLines = 800 // aim for 400, one noun each
	maxMainLines = 49
)

// house is what the rules look at: the Go files of the module itself. Modules inside it, testdata and hidden folders are left out.
type house struct {
	folders []string // at the top
	files   []file
}

type file struct {
	name      string // slash-separated, from the root
	lines     int
	generated bool
	*ast.File
}

func (f file) dir() string { return path.Dir(f.name) }

func (f file) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f file) imports() []string {
	var out []string
	for _, spec := range f.Imports {
		out = append(out, strings.Trim(spec.Path.Value, `"`))
	}
	return out
}

func readHouse(root fs.FS) (house, error) {
	var h house
	set := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			base := path.Base(name)
			if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return fs.SkipDir
			}
			if !strings.Contains(name, "/") {
				h.folders = append(h.folders, name)
			}
			_, inner := fs.Stat(root, path.Join(name, "go.mod"))
			if inner == nil || base == "testdata" || base == "node_modules" || name == "bin" {
				return fs.SkipDir
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		h.files = append(h.files, file{name: name, lines: strings.Count(string(src), "\n"), generated: ast.IsGenerated(tree), File: tree})
		return nil
	})
	return h, err
}

// rule returns one line for each place that breaks it.
type rule func(house) []string

var rules = map[string]rule{
	"rooms":      checkRooms,
	"imports":    checkImports,
	"fences":     checkFences,
	"doc.go":     checkDocs,
	"file size":  checkSizes,
	"init":       checkInit,
	"short main": checkMain,
}

func TestLayout(t *testing.T) {
	h, err := readHouse(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) < 3 {
		t.Fatalf("only %d Go files found: the test looks in the wrong place", len(h.files))
	}
	for name, check := range rules {
		t.Run(name, func(t *testing.T) {
			for _, problem := range check(h) {
				t.Error(problem)
			}
		})
	}
}

func checkRooms(h house) (problems []string) {
	for _, folder := range h.folders {
		if !slices.Contains(rooms, folder) {
			problems = append(problems, fmt.Sprintf("%s/: not a folder of the plan (%s): put it in one of them, or change the plan in layout_test.go and README.md",
				folder, strings.Join(rooms, ", ")))
		}
	}
	return problems
}

func checkImports(h house) (problems []string) {
	for _, f := range h.files {
		g, ok := grantOf(f.dir())
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: no line in grants (layout_test.go) says what %s may import", f.name, f.dir()))
			continue
		}
		for _, imported := range f.imports() {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			room := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
			allowed := append([]string{g.below}, g.allow...)
			if f.test() {
				allowed = append(allowed, "internal/testkit")
			}
			if !slices.ContainsFunc(allowed, func(below string) bool { return within(room, below) }) {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", f.name, room, g.reason))
			}
		}
	}
	return problems
}

func grantOf(dir string) (best grant, ok bool) {
	for _, g := range grants {
		fits := within(dir, g.below)
		if g.below == "." {
			fits = dir == "."
		}
		if fits && len(g.below) > len(best.below) {
			best, ok = g, true
		}
	}
	return best, ok
}

func within(dir, below string) bool { return dir == below || strings.HasPrefix(dir, below+"/") }

func checkFences(h house) (problems []string) {
	for _, f := range h.files {
		for _, imported := range f.imports() {
			for _, fence := range fences {
				if within(imported, fence.module) && !within(f.dir(), fence.below) {
					problems = append(problems, fmt.Sprintf("%s imports %s, which is for %s alone: %s", f.name, imported, fence.below, fence.reason))
				}
			}
		}
	}
	return problems
}

func checkDocs(h house) (problems []string) {
	packages := map[string]bool{} // folder -> has its doc.go
	for _, f := range h.files {
		if f.test() {
			continue
		}
		// A program is often one file, and says what it is there.
		isDoc := path.Base(f.name) == "doc.go" || f.Name.Name == "main" && path.Base(f.name) == "main.go" && f.Doc != nil
		packages[f.dir()] = packages[f.dir()] || isDoc
		if !isDoc {
			if f.Doc != nil && !f.generated && !directiveOnly(f.Doc) {
				problems = append(problems, f.name+": a package comment outside doc.go: a package's contract has one place")
			}
			continue
		}
		start := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			start = "Command " + path.Base(f.dir()) + " "
		}
		first, _, found := strings.Cut(strings.Join(strings.Fields(f.Doc.Text()), " ")+" ", ". ")
		switch {
		case !strings.HasPrefix(first, start):
			problems = append(problems, fmt.Sprintf("%s: must begin with %q", f.name, start))
		case !found || len(strings.Fields(first)) < 6:
			problems = append(problems, f.name+": its first sentence must say what the package promises, in six words or more, with a full stop")
		}
	}
	for dir, documented := range packages {
		if !documented {
			problems = append(problems, dir+": no doc.go: the contract comes first")
		}
	}
	return problems
}

// directiveOnly is true for a comment such as a build constraint, which godoc does not show.
func directiveOnly(doc *ast.CommentGroup) bool { return strings.TrimSpace(doc.Text()) == "" }

func checkSizes(h house) (problems []string) {
	for _, f := range h.files {
		if !f.test() && !f.generated && f.lines > maxFileLines {
			problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d: one noun to a file", f.name, f.lines, maxFileLines))
		}
	}
	return problems
}

func checkInit(h house) (problems []string) {
	for _, f := range h.files {
		if f.Name.Name == "main" {
			continue // a program, or a guest: nobody else imports it
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				problems = append(problems, f.name+": func init runs in every program that imports the package: make it a call or a variable")
			}
		}
	}
	return problems
}

func checkMain(h house) (problems []string) {
	for _, f := range h.files {
		if within(f.dir(), "cmd") && path.Base(f.name) == "main.go" && f.lines > maxMainLines {
			problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d: what it does cannot be tested there", f.name, f.lines, maxMainLines))
		}
	}
	return problems
}
