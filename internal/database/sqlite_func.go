package database

import (
	"errors"
	"math/big"

	"github.com/ncruces/go-sqlite3"
)

// register gives a connection the collation and functions that queries are compiled to. Schemas may not use them.
func register(c *sqlite3.Conn) error {
	const flags = sqlite3.DETERMINISTIC | sqlite3.DIRECTONLY
	return errors.Join(
		c.CreateCollation(decimalOrder, func(a, b []byte) int { return compareDecimal(string(a), string(b)) }),
		c.CreateFunction(integerAdd, 2, flags, addIntegers),
		c.CreateFunction(rowPermit, 1, flags, permitRow),
		c.CreateFunction(decimalAdd, 4, flags, addDecimals),
		c.CreateWindowFunction(decimalSum, 2, flags, func() sqlite3.AggregateFunction { return &decimalTotal{} }),
		c.CreateWindowFunction(decimalAvg, 2, flags, func() sqlite3.AggregateFunction { return &decimalTotal{average: true} }),
	)
}

// addIntegers is exact: what is over 64 bits, or is no integer, is an error. Null counts as 0.
func addIntegers(ctx sqlite3.Context, args ...sqlite3.Value) {
	var n [2]int64
	for i, arg := range args {
		switch arg.Type() {
		case sqlite3.NULL:
		case sqlite3.INTEGER:
			n[i] = arg.Int64()
		default:
			ctx.ResultError(errNumber)
			return
		}
	}
	sum := n[0] + n[1]
	if (sum > n[0]) != (n[1] > 0) && n[1] != 0 {
		ctx.ResultError(errNumber)
		return
	}
	ctx.ResultInt64(sum)
}

// permitRow ends a statement that would touch a row which its policy does not allow.
func permitRow(ctx sqlite3.Context, args ...sqlite3.Value) {
	if args[0].Type() != sqlite3.INTEGER || args[0].Int64() == 0 {
		ctx.ResultError(errRow)
		return
	}
	ctx.ResultInt64(1)
}

func decimalArg(v sqlite3.Value, scale int) (*big.Int, bool) {
	if v.Type() == sqlite3.NULL {
		return new(big.Int), true
	}
	if v.Type() == sqlite3.BLOB {
		return nil, false
	}
	n, _, ok := parseDecimal(v.Text(), scale)
	return n, ok
}

// addDecimals adds (value, delta, scale, precision). Null counts as 0.
func addDecimals(ctx sqlite3.Context, args ...sqlite3.Value) {
	scale, precision := args[2].Int(), args[3].Int()
	n, ok1 := decimalArg(args[0], scale)
	by, ok2 := decimalArg(args[1], scale)
	if !ok1 || !ok2 {
		ctx.ResultError(errNumber)
		return
	}
	n.Add(n, by)
	text := formatDecimal(n, scale)
	if precision > 0 && len(new(big.Int).Abs(n).String()) > precision {
		ctx.ResultError(errNumber)
		return
	}
	ctx.ResultText(text)
}

// decimalTotal is sum and avg of (value, scale), exact. Nulls do not count; of none it is null.
type decimalTotal struct {
	average bool
	count   int64
	scale   int
	sum     big.Int
	bad     bool
}

func (t *decimalTotal) Step(_ sqlite3.Context, args ...sqlite3.Value) {
	if args[0].Type() == sqlite3.NULL {
		return
	}
	t.scale = args[1].Int()
	n, ok := decimalArg(args[0], t.scale)
	if !ok {
		t.bad = true
		return
	}
	t.count++
	t.sum.Add(&t.sum, n)
}

func (t *decimalTotal) Value(ctx sqlite3.Context) {
	switch {
	case t.bad:
		ctx.ResultError(errNumber)
	case t.count == 0:
		ctx.ResultNull()
	case t.average:
		n := new(big.Int).Mul(&t.sum, new(big.Int).Exp(big.NewInt(10), big.NewInt(avgDigits), nil))
		ctx.ResultText(formatDecimal(quotient(n, big.NewInt(t.count)), t.scale+avgDigits))
	default:
		ctx.ResultText(formatDecimal(&t.sum, t.scale))
	}
}
