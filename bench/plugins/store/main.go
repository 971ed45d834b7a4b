// Command store is the plugin of the database suite. Each of its functions does one kind of work as often as it is told, as
// plugins do it, and answers how long each took by the guest's clock; at /store/{id} it reads one row for a request.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/odac-run/odachost/abi"
	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Get("/{id}", func(c *odac.Ctx) error {
		row, err := point(c.Param("id"))
		if err != nil {
			return err
		}
		return c.JSON(200, map[string]any{"id": row.Int("id"), "name": row.String("name"), "note": row.String("note")})
	})
	odac.Func("fill", fill)
	odac.Func("nothing", timed(func(int) error { return nil }))
	odac.Func("point", timed(func(i int) error {
		row, err := point(i%1000 + 1)
		if err == nil && (row.Int("id") != int64(i%1000+1) || row.String("name") == "" || row.String("note") == "") {
			err = errors.New("another row")
		}
		return err
	}))
	odac.Func("rows1000", timed(rows))
	odac.Func("insert", timed(func(i int) error {
		_, err := odac.DB("entries").Insert(odac.Map{"name": "an entry", "amount": abi.Decimal("12.50"), "at": time.Unix(int64(i), 0)})
		return err
	}))
	odac.Func("tx", timed(transfer))
	odac.Func("batch10", timed(batch))
	odac.Func("single10", timed(single))
}

func main() {}

// timed makes a function that runs work and answers the nanoseconds of each run. Its input is the number of runs and of those before.
func timed(work func(i int) error) func([]byte) ([]byte, error) {
	return func(in []byte) ([]byte, error) {
		runs, from := int(binary.LittleEndian.Uint32(in)), int(binary.LittleEndian.Uint32(in[4:]))
		out := make([]byte, 0, 8*runs)
		for i := range runs {
			began := time.Now()
			if err := work(from + i); err != nil {
				return nil, err
			}
			out = binary.LittleEndian.AppendUint64(out, uint64(time.Since(began)))
		}
		return out, nil
	}
}

func fill([]byte) ([]byte, error) {
	list := make([]odac.Map, 1000)
	for i := range list {
		list[i] = odac.Map{
			"id": i + 1, "name": fmt.Sprintf("The item number %d", i+1), "note": "What there is to say of it is said in a line or two.",
			"views": int64(i) * 1e7, "score": float64(i) / 3, "price": abi.Decimal(fmt.Sprintf("%d.%02d", i, i%100)), "live": i%2 == 0,
			"seen": time.Unix(1e9+int64(i), int64(i)*1000), "day": time.Unix(int64(i)*86400, 0), "meta": abi.JSON(fmt.Sprintf(`{"tags": ["a", "b"], "size": %d}`, i)),
		}
	}
	_, err := odac.DB("items").Insert(list)
	return nil, err
}

func point(id any) (odac.Row, error) {
	return odac.DB("items").Select("id", "name", "note").Where("id", id).First()
}

// item is what a program makes of a row.
type item struct {
	ID, Views         int64
	Name, Note, Price string
	Score             float64
	Live              bool
	Seen, Day         time.Time
	Meta              string
}

func rows(int) error {
	var items []item
	err := odac.DB("items").Select("id", "name", "note", "views", "score", "price", "live", "seen", "day", "meta").Scan(&items)
	if err != nil {
		return err
	}
	if len(items) != 1000 || items[999].Price == "" || items[999].Seen.IsZero() || items[999].Meta == "" {
		return errors.New("other rows")
	}
	return nil
}

// transfer is a transaction that writes and reads.
func transfer(i int) error {
	return odac.Tx(func(tx *odac.Transaction) error {
		if _, err := tx.DB("entries").Where("id", i%10+1).Update(odac.Map{"hits": odac.Add(1)}); err != nil {
			return err
		}
		_, err := tx.DB("entries").Select("id", "hits").Where("id", i%10+1).First()
		return err
	})
}

// batch is ten statements together, single the same one after the other.
func batch(i int) error {
	var b odac.Batch
	for j := range 10 {
		b.Select(odac.DB("items").Select("id", "name", "note").Where("id", (i+j)%1000+1))
	}
	results, err := b.Run()
	if err == nil && (len(results) != 10 || len(results[9].Rows) != 1) {
		err = errors.New("other rows")
	}
	return err
}

func single(i int) error {
	for j := range 10 {
		if _, err := point((i+j)%1000 + 1); err != nil {
			return err
		}
	}
	return nil
}
