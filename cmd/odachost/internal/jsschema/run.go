package jsschema

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// maxCallDepth bounds recursion: the interpreter's stack is on the heap.
const maxCallDepth = 1000

// exports are what a file assigned to module.exports, with where its keys are written.
type exports struct {
	root  *goja.Object
	lines lines
}

// evaluate runs the file and hands what it exported to use, all within the time: a getter is a program too.
func evaluate(file, source string, limit time.Duration, use func(exports) error) (err error) {
	tree, err := parser.ParseFile(nil, file, source, 0, parser.WithDisableSourceMaps) // a source map would be read from a file
	if err != nil {
		return scriptError(file, err)
	}
	program, err := goja.CompileAST(tree, false)
	if err != nil {
		return scriptError(file, err)
	}
	vm := goja.New()
	vm.SetMaxCallStackSize(maxCallDepth)
	timer := time.AfterFunc(limit, func() { vm.Interrupt(fmt.Sprintf("runs longer than %s", limit)) })
	defer timer.Stop()
	module := vm.NewObject()
	exported := vm.NewObject()
	if err := errors.Join(module.Set("exports", exported), vm.Set("module", module), vm.Set("exports", exported),
		vm.Set("require", func(goja.FunctionCall) goja.Value {
			panic(vm.NewTypeError("a schema file cannot require another: write its content here"))
		})); err != nil {
		return err
	}
	if _, err := vm.RunProgram(program); err != nil {
		return scriptError(file, err)
	}
	// Getters and proxies run while the tree is read.
	var inner error
	read, _ := goja.AssertFunction(vm.ToValue(func(goja.FunctionCall) goja.Value {
		root, ok := module.Get("exports").(*goja.Object)
		if !ok || root.ClassName() != "Object" {
			inner = &Error{file, 1, "module.exports is no object: write module.exports = {columns: {...}}"}
			return nil
		}
		inner = use(exports{root: root, lines: findLines(tree)})
		return nil
	}))
	if _, err := read(nil); err != nil {
		return scriptError(file, err)
	}
	return inner
}

// scriptError finds the line of what went wrong in the file.
func scriptError(file string, err error) error {
	out := &Error{File: file, Line: 1, Message: err.Error()}
	var syntax *parser.Error
	var list parser.ErrorList
	var compile *goja.CompilerSyntaxError
	var thrown *goja.Exception
	var stopped *goja.InterruptedError
	switch {
	case errors.As(err, &list) && len(list) > 0:
		out.Line, out.Message = list[0].Position.Line, list[0].Message
	case errors.As(err, &syntax):
		out.Line, out.Message = syntax.Position.Line, syntax.Message
	case errors.As(err, &compile):
		out.Message = compile.Message
		if compile.File != nil {
			out.Line = compile.File.Position(compile.Offset).Line
		}
	case errors.As(err, &stopped):
		out.Message = fmt.Sprint(stopped.Value())
		out.Line = frameLine(file, stopped.Stack())
	case errors.As(err, &thrown):
		out.Message = strings.TrimPrefix(thrown.Value().String(), "TypeError: ")
		out.Line = frameLine(file, thrown.Stack())
	}
	return out
}

// frameLine is the innermost line of the file itself.
func frameLine(file string, stack []goja.StackFrame) int {
	for _, f := range stack {
		if at := f.Position(); at.Line > 0 && f.SrcName() == file {
			return at.Line
		}
	}
	return 1
}

// Error is one thing that cannot be carried over.
type Error struct {
	File    string
	Line    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }
