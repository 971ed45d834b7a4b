package jsschema

import (
	"strconv"
	"strings"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
)

// lines are where keys are written, by their path: "columns.id.type".
type lines map[string]int

// at is the line of the path, or of the nearest thing around it.
func (l lines) at(path string) int {
	for {
		if n := l[path]; n > 0 {
			return n
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return max(l[""], 1)
		}
		path = path[:i]
	}
}

// maxLineDepth bounds how deep object literals are followed, names that stand for one another included.
const maxLineDepth = 32

// finder follows the literals behind module.exports without running anything; what is computed has no line of its own.
type finder struct {
	file  *file.File
	names map[string]ast.Expression
	found lines
}

func findLines(tree *ast.Program) lines {
	f := &finder{file: tree.File, names: map[string]ast.Expression{}, found: lines{}}
	for _, s := range tree.Body {
		var list []*ast.Binding
		switch s := s.(type) {
		case *ast.VariableStatement:
			list = s.List
		case *ast.LexicalDeclaration:
			list = s.List
		}
		for _, b := range list {
			if id, ok := b.Target.(*ast.Identifier); ok && b.Initializer != nil {
				f.names[id.Name.String()] = b.Initializer
			}
		}
	}
	for _, s := range tree.Body {
		e, ok := s.(*ast.ExpressionStatement)
		if !ok {
			continue
		}
		if set, ok := e.Expression.(*ast.AssignExpression); ok {
			if path, ok := exportPath(set.Left); ok {
				f.mark(path, set.Idx0())
				f.walk(path, set.Right, 0)
			}
		}
	}
	return f.found
}

// exportPath is what an assignment sets below module.exports.
func exportPath(e ast.Expression) (string, bool) {
	switch e := e.(type) {
	case *ast.Identifier:
		return "", e.Name == "exports"
	case *ast.DotExpression:
		name := e.Identifier.Name.String()
		if id, ok := e.Left.(*ast.Identifier); ok && id.Name == "module" {
			return "", name == "exports"
		}
		path, ok := exportPath(e.Left)
		return join(path, name), ok
	}
	return "", false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (f *finder) mark(path string, at file.Idx) {
	f.found[path] = f.file.Position(int(at) - f.file.Base()).Line
}

func (f *finder) walk(path string, e ast.Expression, depth int) {
	if depth > maxLineDepth {
		return
	}
	switch e := e.(type) {
	case *ast.Identifier:
		f.walk(path, f.names[e.Name.String()], depth+1)
	case *ast.ArrayLiteral:
		for i, item := range e.Value {
			if item != nil {
				f.child(path, strconv.Itoa(i), item.Idx0(), item, depth)
			}
		}
	case *ast.ObjectLiteral:
		for _, p := range e.Value {
			switch p := p.(type) {
			case *ast.PropertyShort:
				f.child(path, p.Name.Name.String(), p.Idx0(), &p.Name, depth)
			case *ast.SpreadElement:
				f.walk(path, p.Expression, depth+1)
			case *ast.PropertyKeyed:
				if key, ok := p.Key.(*ast.StringLiteral); ok && !p.Computed {
					f.child(path, key.Value.String(), p.Idx0(), p.Value, depth)
				}
			}
		}
	}
}

func (f *finder) child(path, name string, at file.Idx, value ast.Expression, depth int) {
	path = join(path, name)
	f.mark(path, at)
	f.walk(path, value, depth+1)
}
