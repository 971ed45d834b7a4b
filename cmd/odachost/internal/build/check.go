package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/odac-run/odachost/plugins"
)

// goPackage is what go list says about a package.
type goPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	Standard        bool
}

// Check looks at the Go sources that a plugin is made of, its dependencies with them, for what works elsewhere and not
// in a sandbox whose memory is put back after each call. It gives a line for each place. A folder that the Go toolchain does
// not build has none.
func Check(ctx context.Context, dir string) ([]string, error) {
	manifest, err := plugins.ReadManifest(dir)
	if err != nil || manifest.Build != nil || manifest.Extism != nil {
		return nil, err
	}
	argv, env := manifest.BuildCommand()
	cmd := exec.CommandContext(ctx, argv[0], "list", "-deps", "-json=ImportPath,Dir,GoFiles,Standard", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var printed bytes.Buffer
	cmd.Stderr = &printed
	out, err := cmd.Output()
	if err != nil {
		return nil, &Error{strings.Join(cmd.Args, " "), string(bytes.TrimSpace(printed.Bytes())), err}
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var amiss []string
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return amiss, nil
		} else if err != nil {
			return nil, fmt.Errorf("build: what go list printed: %w", err)
		}
		if p.Standard {
			continue
		}
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			found, err := globalRand(file)
			if err != nil {
				return nil, fmt.Errorf("build: %w", err)
			}
			shown := p.ImportPath + "/" + name
			if below, err := filepath.Rel(root, file); err == nil && filepath.IsLocal(below) {
				shown = filepath.ToSlash(below)
			}
			for _, f := range found {
				amiss = append(amiss, fmt.Sprintf("%s:%d: %s draws the same numbers in each call of a plugin whose isolation is fresh: use odac.Rand().%s, or crypto/rand for keys",
					shown, f.line, f.name, f.method()))
			}
		}
	}
}

// use is a place where a global generator is used.
type use struct {
	name string // rand.IntN
	line int
}

// method is the generator's method of that name.
func (u use) method() string {
	_, f, _ := strings.Cut(u.name, ".")
	// math/rand's functions under the names of math/rand/v2.
	for old, now := range map[string]string{"Int31": "Int32", "Int31n": "Int32N", "Int63": "Int64", "Int63n": "Int64N", "Intn": "IntN"} {
		if f == old {
			return now
		}
	}
	return f
}

// globalRand finds the uses of the functions of math/rand and math/rand/v2 that draw from their global generator.
func globalRand(file string) ([]use, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, spec := range tree.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || path != "math/rand" && path != "math/rand/v2" {
			continue
		}
		if spec.Name != nil {
			names[spec.Name.Name] = true
		} else {
			names["rand"] = true
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	var found []use
	ast.Inspect(tree, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// An identifier with an object is a variable that hides the package.
		name, ok := selector.X.(*ast.Ident)
		if ok && name.Obj == nil && names[name.Name] && drawsGlobally(selector.Sel.Name) {
			found = append(found, use{name.Name + "." + selector.Sel.Name, set.Position(selector.Pos()).Line})
		}
		return true
	})
	return found, nil
}

// drawsGlobally says whether a name of math/rand is a function of the global generator: not a type, and not one that makes
// a generator.
func drawsGlobally(name string) bool {
	switch name {
	case "New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8", "Rand", "Source", "Source64", "Zipf", "PCG", "ChaCha8":
		return false
	}
	return true
}
