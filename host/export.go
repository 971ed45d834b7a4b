package host

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// exportRows is how many rows are read at a time.
const exportRows = 1000

// exportLine is one row of [Host.ExportTenant].
type exportLine struct {
	Database string                     `json:"database"`
	Table    string                     `json:"table"`
	Row      map[string]json.RawMessage `json:"row"`
}

// ExportTenant writes every row of a tenant's tables as a line of JSON: {"database": ..., "table": ..., "row": {column: value}}, each database
// as it stands at one moment. Integers, decimals and finite floats are numbers with all their digits, times RFC 3339, bytes {"base64": ...},
// JSON documents themselves, other floats text. Views and the host's own tables are left out; what is buffered is applied first.
func (h *Host) ExportTenant(ctx context.Context, name string, w io.Writer) error {
	if err := plugins.CheckName(name); err != nil {
		return fmt.Errorf("host: tenant %w", err)
	}
	tenants, err := h.listTenants()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tenants, func(t Tenant) bool { return t.Name == name }) {
		return fmt.Errorf("host: there is no tenant %q: odachost tenant list shows them", name)
	}
	for _, conn := range slices.Sorted(maps.Keys(h.config.Databases)) {
		c, err := h.tenant(name).conn(ctx, conn)
		if err != nil {
			return err
		}
		if err := h.exportConn(ctx, c, w); err != nil {
			return fmt.Errorf("host: export database %s of tenant %s: %w", conn, name, err)
		}
	}
	return nil
}

func (h *Host) exportConn(ctx context.Context, c *connection, w io.Writer) error {
	catalog := c.db.Catalog()
	for _, table := range catalog.Tables() {
		if err := h.buffer.Flush(ctx, c.lane(table)); err != nil {
			return err
		}
	}
	tx, err := c.db.Begin(ctx, database.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // returns nil
	for _, name := range catalog.Tables() {
		table, _ := catalog.Table(name)
		if table.View {
			continue
		}
		if err := exportTable(ctx, tx, c.name, table, json.NewEncoder(w)); err != nil {
			return err
		}
	}
	return nil
}

// exportTable reads by the key where it is one column, else by offset in the order of the key.
func exportTable(ctx context.Context, tx *database.Tx, conn string, table *database.Table, out *json.Encoder) error {
	q := abi.Query{Table: table.Name, Limit: exportRows}
	for _, name := range table.Key {
		q.Order = append(q.Order, abi.Order{Column: name})
	}
	var buf []byte
	for {
		var err error
		if buf, err = tx.Query(ctx, &q, database.Budget{MaxRows: -1}, buf[:0]); err != nil {
			var typed *abi.Error
			if errors.As(err, &typed) && typed.Errno == abi.ErrnoLimit && q.Limit > 1 {
				q.Limit /= 2 // rows are large
				continue
			}
			return err
		}
		var page abi.Result
		if _, err := page.UnmarshalMsg(buf); err != nil {
			return err
		}
		for _, row := range page.Rows {
			line := exportLine{conn, table.Name, make(map[string]json.RawMessage, len(row))}
			for i, v := range row {
				line.Row[page.Columns[i]] = exportValue(v)
			}
			if err := out.Encode(line); err != nil {
				return err
			}
		}
		if int64(len(page.Rows)) < q.Limit {
			return nil
		}
		if key := slices.Index(page.Columns, first(table.Key)); len(table.Key) == 1 && key >= 0 {
			q.Where = []abi.Cond{{Op: abi.CondGt, Column: table.Key[0], Values: abi.Values{page.Rows[len(page.Rows)-1][key]}}}
		} else {
			q.Offset += int64(len(page.Rows))
		}
	}
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func exportValue(v abi.Value) json.RawMessage {
	text := func(s string) json.RawMessage {
		b, _ := json.Marshal(s) // a string always can be
		return b
	}
	switch v.Kind() {
	case abi.KindNull:
		return json.RawMessage("null")
	case abi.KindBool:
		return strconv.AppendBool(nil, v.AsBool())
	case abi.KindInt:
		return strconv.AppendInt(nil, v.AsInt(), 10)
	case abi.KindFloat:
		if f := v.AsFloat(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			b, _ := json.Marshal(f) // finite
			return b
		}
	case abi.KindDecimal, abi.KindJSON:
		if json.Valid([]byte(v.AsText())) {
			return json.RawMessage(v.AsText())
		}
	case abi.KindBytes:
		return json.RawMessage(`{"base64":"` + base64.StdEncoding.EncodeToString([]byte(v.AsText())) + `"}`)
	}
	return text(v.String())
}
