package database

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

// Rows go from the driver's memory into the answer: none of them allocates anything, of whatever types. MySQL's driver boxes every value,
// most in one allocation, times in more, before we see it.
func TestRowsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	onEngines(t, testRowsAllocateNothing)
}

func testRowsAllocateNothing(t *testing.T, db *DB) {
	q := &abi.Query{Verb: abi.VerbInsert, Table: "everything", Fields: []string{"b", "i", "f", "d", "s", "t", "bin", "dt", "ts", "day", "clock", "j", "u"}}
	at := time.Date(2026, 11, 26, 12, 30, 0, 123000, time.UTC)
	for i := range 1000 {
		q.Rows = append(q.Rows, abi.Values{
			abi.Bool(i%2 == 0), abi.Int(math.MaxInt64 - int64(i)), abi.Float(float64(i) / 3), abi.Decimal("123456.789"), abi.Text("short"),
			abi.Text("a text that is a little longer than the others are"), abi.Bytes([]byte{1, 2, 3}), abi.Time(at), abi.Time(at), abi.Time(at.Truncate(24 * time.Hour)),
			abi.Text("12:30:00.5"), abi.JSON(`{"a": [1, 2]}`), abi.Text("2f1e4fc0-81fd-4bd4-9aef-2bf0f6a0e3a5"),
		})
	}
	must(t, db, q)
	allocs := func(limit int64) float64 {
		q := &abi.Query{Table: "everything", Limit: limit}
		var buf []byte
		run := func() {
			var err error
			if buf, err = db.Query(context.Background(), q, Budget{}, buf[:0]); err != nil {
				t.Fatal(err)
			}
		}
		run()
		return testing.AllocsPerRun(20, run)
	}
	few, many := allocs(100), allocs(1000)
	most := 0.01
	if db.cfg.Type == typeMySQL {
		most = 1.5 * float64(len(q.Fields)+1)
	}
	if each := (many - few) / 900; each >= most {
		t.Errorf("%.0f allocations for 100 rows, %.0f for 1,000: %.2f for each", few, many, each)
	}
	t.Logf("%.0f allocations for a statement", few)
}
