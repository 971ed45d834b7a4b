// Command values writes values of each type and reads them again.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/odac-run/odachost/abi"
	odac "github.com/odac-run/odachost/sdk"
)

// sample is one value of a column, and how it is read.
type sample struct {
	column string
	write  any
	read   func(row odac.Row) any
	want   any
}

func samples() []sample {
	integer := func(column string, n int64) sample {
		return sample{column, n, func(r odac.Row) any { return r.Int(column) }, n}
	}
	text := func(column, s string) sample {
		return sample{column, s, func(r odac.Row) any { return r.String(column) }, s}
	}
	float := func(f float64) sample {
		return sample{"ratio", f, func(r odac.Row) any { return math.Float64bits(r.Float("ratio")) }, math.Float64bits(f)}
	}
	decimal := func(s, want string) sample {
		return sample{"price", abi.Decimal(s), func(r odac.Row) any { return r.Decimal("price") }, want}
	}
	instant := func(column string, at time.Time) sample {
		return sample{column, at, func(r odac.Row) any { return r.Time(column).UTC() }, at.UTC()}
	}
	document := func(column, s string) sample {
		return sample{column, abi.JSON(s), func(r odac.Row) any { return canonical(r.JSON(column)) }, canonical(s)}
	}
	null := func(column string) sample {
		return sample{column, nil, func(r odac.Row) any { return r.IsNull(column) }, true}
	}
	odd := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.FixedZone("", 5*3600+1800))
	list := []sample{
		integer("big", math.MaxInt64), integer("big", math.MinInt64), integer("big", 1<<53+1), integer("small", math.MinInt32), integer("small", 0),
		decimal("12345678901234567890.0123456789", "12345678901234567890.0123456789"), decimal("-0.5", "-0.5000000000"), decimal("0", "0.0000000000"),
		float(0.1), float(math.MaxFloat64), float(math.SmallestNonzeroFloat64), float(-1e-300),
		text("name", "it's \\ \"quoted\" `x` %_ \u00e9\u4e16\U0001f600"), text("name", ""), text("name", " spaces "), text("body", strings.Repeat("long ", 20_000)),
		{"ok", true, func(r odac.Row) any { return r.Bool("ok") }, true}, {"ok", false, func(r odac.Row) any { return r.Bool("ok") }, false},
		{"day", "2024-02-29", func(r odac.Row) any { return r.Time("day").Format(time.DateOnly) }, "2024-02-29"},
		{"clock", "23:59:59.123456", func(r odac.Row) any { return r.String("clock")[:15] }, "23:59:59.123456"},
		instant("at", odd), instant("stamp", odd), instant("at", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)), instant("stamp", time.Date(2100, 1, 1, 0, 0, 0, 1000, time.UTC)),
		{"raw", []byte{0, 255, '\'', '\\', 0}, func(r odac.Row) any { return string(r.Bytes("raw")) }, "\x00\xff'\\\x00"},
		document("doc", `{"b": [1, 2.5, null, "x"], "a": {"é": true}}`), document("docb", `{"b": [1, 2.5, null, "x"], "a": {"é": true}}`), document("docb", `"text"`),
		text("ref", "123e4567-e89b-12d3-a456-426614174000"), text("kind", "ink"), text("nano", "abcdefghijklmnopqrstu"),
	}
	for _, column := range []string{"big", "price", "ratio", "name", "ok", "day", "clock", "at", "raw", "doc", "docb", "ref", "kind"} {
		list = append(list, null(column))
	}
	return list
}

func canonical(s string) string {
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return "no JSON: " + s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// scanned compares what structs get of a column with what its rows say: of the values alone, and with nulls between them.
func scanned[T comparable](column string, read func(odac.Row, string) T) (wrong []string) {
	all := odac.DB("vals").Select("id", column+" as value").Order("id")
	some := all.WhereNotNull(column)
	rows, err := some.All()
	var values []struct {
		ID    int64
		Value T
	}
	if e := some.Scan(&values); err != nil || e != nil || len(rows) == 0 || len(values) != len(rows) {
		return []string{fmt.Sprintf("%s: %d rows, %v, %d structs, %v", column, len(rows), err, len(values), e)}
	}
	for i, row := range rows {
		if got := values[i]; got.ID != row.Int("id") || got.Value != read(row, "value") {
			wrong = append(wrong, fmt.Sprintf("%s: scanned %.60v, want %d %.60v", column, got, row.Int("id"), read(row, "value")))
		}
	}
	var nulls []struct {
		ID    int64
		Value *T
	}
	rows, err = all.All()
	if e := all.Scan(&nulls); err != nil || e != nil || len(nulls) != len(rows) {
		return append(wrong, fmt.Sprintf("%s with nulls: %d rows, %v, %d structs, %v", column, len(rows), err, len(nulls), e))
	}
	for i, row := range rows {
		if got := nulls[i]; got.ID != row.Int("id") || row.IsNull("value") != (got.Value == nil) || got.Value != nil && *got.Value != read(row, "value") {
			wrong = append(wrong, fmt.Sprintf("%s with nulls: row %d differs", column, row.Int("id")))
		}
	}
	return wrong
}

func init() {
	odac.Post("/trip", func(c *odac.Ctx) error {
		var wrong []string
		for _, s := range samples() {
			result, err := odac.DB("vals").Insert(odac.Map{s.column: s.write})
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: write %.60v: %v", s.column, s.write, err))
				continue
			}
			row, err := odac.DB("vals").Where("id", result.LastID).First()
			if err != nil {
				return err
			}
			if got := s.read(row); got != s.want {
				wrong = append(wrong, fmt.Sprintf("%s: %.60v, want %.60v", s.column, got, s.want))
			}
			if n := len(row.String("nano")); n != 21 {
				wrong = append(wrong, fmt.Sprintf("nano has %d characters", n))
			}
			if row.Time("created_at").IsZero() || row.Time("updated_at").IsZero() {
				wrong = append(wrong, "no timestamps")
			}
			// What was read finds its row.
			if s.write == nil || strings.HasPrefix(s.column, "doc") {
				continue
			}
			if n, err := odac.DB("vals").Where("id", result.LastID).Where(s.column, s.write).Count(); n != 1 || err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %d rows are equal to %.60v, %v", s.column, n, s.write, err))
			}
		}
		wrong = append(wrong, scanned("big", odac.Row.Int)...)
		wrong = append(wrong, scanned("ratio", odac.Row.Float)...)
		wrong = append(wrong, scanned("name", odac.Row.String)...)
		wrong = append(wrong, scanned("body", odac.Row.String)...)
		wrong = append(wrong, scanned("price", odac.Row.Decimal)...)
		wrong = append(wrong, scanned("ok", odac.Row.Bool)...)
		wrong = append(wrong, scanned("at", odac.Row.Time)...)
		return c.Text(200, strings.Join(wrong, "\n"))
	})
	odac.Post("/float/{value}", func(c *odac.Ctx) error {
		f := map[string]float64{"inf": math.Inf(1), "-inf": math.Inf(-1), "nan": math.NaN()}[c.Param("value")]
		result, err := odac.DB("vals").Insert(odac.Map{"ratio": f})
		if err != nil {
			return c.Text(200, odac.KindOf(err).Kind())
		}
		row, err := odac.DB("vals").Where("id", result.LastID).First()
		if err != nil {
			return err
		}
		if row.IsNull("ratio") {
			return c.Text(200, "null")
		}
		return c.Text(200, fmt.Sprint(row.Float("ratio")))
	})
	odac.Post("/bad/{column}/{value}", func(c *odac.Ctx) error {
		_, err := odac.DB("vals").Insert(odac.Map{c.Param("column"): c.Param("value")})
		return c.Text(200, odac.KindOf(err).Kind())
	})
}

func main() {}
