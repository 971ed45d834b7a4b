package database

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// registerText replaces the functions of SQLite whose time grows with the product of their arguments, megabytes each, within one instruction that
// nothing interrupts. Ours take time in proportion to their sum.
func registerText(c *sqlite3.Conn) error {
	const flags = sqlite3.DETERMINISTIC | sqlite3.INNOCUOUS
	trim := func(left, right bool) sqlite3.ScalarFunction {
		return func(ctx sqlite3.Context, args ...sqlite3.Value) { trimText(ctx, args, left, right) }
	}
	return errors.Join(
		c.CreateFunction("instr", 2, flags, instr),
		c.CreateFunction("replace", 3, flags, replaceText),
		c.CreateFunction("trim", 1, flags, trim(true, true)), c.CreateFunction("trim", 2, flags, trim(true, true)),
		c.CreateFunction("ltrim", 1, flags, trim(true, false)), c.CreateFunction("ltrim", 2, flags, trim(true, false)),
		c.CreateFunction("rtrim", 1, flags, trim(false, true)), c.CreateFunction("rtrim", 2, flags, trim(false, true)),
		c.CreateFunction("unhex", 2, flags, func(ctx sqlite3.Context, _ ...sqlite3.Value) {
			ctx.ResultError(errors.New("unhex takes one argument"))
		}),
	)
}

// anyNull answers null if an argument is.
func anyNull(ctx sqlite3.Context, args []sqlite3.Value) bool {
	for _, arg := range args {
		if arg.Type() == sqlite3.NULL {
			ctx.ResultNull()
			return true
		}
	}
	return false
}

// instr is the first place of the second in the first, from 1: in bytes of two blobs, in characters otherwise.
func instr(ctx sqlite3.Context, args ...sqlite3.Value) {
	if anyNull(ctx, args) {
		return
	}
	if args[0].Type() == sqlite3.BLOB && args[1].Type() == sqlite3.BLOB {
		ctx.ResultInt(bytes.Index(args[0].Blob(nil), args[1].Blob(nil)) + 1)
		return
	}
	text := args[0].Text()
	i := strings.Index(text, args[1].Text())
	if i < 0 {
		ctx.ResultInt(0)
		return
	}
	ctx.ResultInt(utf8.RuneCountInString(text[:i]) + 1)
}

func replaceText(ctx sqlite3.Context, args ...sqlite3.Value) {
	if anyNull(ctx, args) {
		return
	}
	text, from, to := args[0].Text(), args[1].Text(), args[2].Text()
	if from == "" {
		ctx.ResultText(text)
		return
	}
	if grown := len(text) + strings.Count(text, from)*(len(to)-len(from)); grown > ctx.Conn().Limit(sqlite3.LIMIT_LENGTH, -1) {
		ctx.ResultError(sqlite3.TOOBIG)
		return
	}
	ctx.ResultText(strings.ReplaceAll(text, from, to))
}

func trimText(ctx sqlite3.Context, args []sqlite3.Value, left, right bool) {
	if anyNull(ctx, args) {
		return
	}
	text, drop := args[0].Text(), " "
	if len(args) == 2 {
		drop = args[1].Text()
	}
	var ascii [utf8.RuneSelf]bool
	other := map[rune]bool{}
	for _, r := range drop {
		if r < utf8.RuneSelf {
			ascii[r] = true
		} else {
			other[r] = true
		}
	}
	has := func(r rune) bool {
		if r < utf8.RuneSelf {
			return ascii[r]
		}
		return other[r]
	}
	if left {
		text = strings.TrimLeftFunc(text, has)
	}
	if right {
		text = strings.TrimRightFunc(text, has)
	}
	ctx.ResultText(text)
}
