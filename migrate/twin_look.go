package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

func (db *Database) triggersOf(table string) []Object {
	return slices.DeleteFunc(slices.Clone(db.Triggers), func(o Object) bool {
		return !strings.EqualFold(o.Table, table) || !strings.HasPrefix(o.Name, syncPrefix)
	})
}

func (db *Database) withoutTwins() *Database {
	out := *db.withoutSync(func(string) bool { return true })
	out.Tables = map[string]*TableInfo{}
	for name, t := range db.Tables {
		shown := *t
		ours := func(name string) bool { return strings.HasPrefix(fold(name), twinPrefix) }
		shown.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c *ColumnInfo) bool { return ours(c.Name) })
		shown.Indexes = slices.DeleteFunc(slices.Clone(t.Indexes), func(x IndexInfo) bool { return slices.ContainsFunc(x.Columns, ours) || ours(x.Name) })
		shown.ForeignKeys = slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(fk ForeignKey) bool { return slices.ContainsFunc(fk.Columns, ours) })
		out.Tables[name] = &shown
	}
	return &out
}

// withoutSync is the database without the sync triggers of tables where they end.
func (db *Database) withoutSync(ends func(table string) bool) *Database {
	out := *db
	out.Triggers = slices.DeleteFunc(slices.Clone(db.Triggers), func(o Object) bool {
		return strings.HasPrefix(o.Name, syncPrefix) && ends(o.Table)
	})
	return &out
}

func (p *twinPlan) unique(ctx context.Context, q querier, tt *twinTable, steps []*Step) error {
	n := p.d.syntax().name
	for _, t := range tt.twins {
		for _, x := range t.ToIndexes {
			named := func(h Hazard) bool {
				return h.Level == Refuse && (strings.EqualFold(h.Object, x.Name) || strings.EqualFold(h.Object, twinName(x.Name)))
			}
			var at *Step
			for _, s := range steps {
				if strings.EqualFold(s.Table, tt.want.Name) && slices.ContainsFunc(s.Hazards, named) {
					s.Hazards, at = slices.DeleteFunc(s.Hazards, named), s
				}
			}
			if at == nil || !x.Unique || x.Where != "" {
				continue
			}
			var values, conds []string
			for _, name := range x.Columns {
				value := n(name)
				for _, o := range tt.twins {
					if strings.EqualFold(o.New, name) {
						s := p.syncing(tt.want.Name, o)
						if value = s.toNew(n(s.from)); tt.live.Column(s.from) == nil {
							value = s.toNew(n(o.Old))
						}
					}
				}
				values, conds = append(values, value), append(conds, "("+value+") IS NOT NULL")
			}
			h := Hazard{Level: Refuse, Table: tt.want.Name, Object: x.Name}
			groups := fmt.Sprintf("SELECT count(*) AS n FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1", n(tt.want.Name), strings.Join(conds, " AND "), strings.Join(values, ", "))
			if err := q.QueryRowContext(ctx, "SELECT count(*) FROM ("+groups+") AS d").Scan(&h.Count); err != nil {
				return err
			}
			if h.Count > 0 {
				h.Message = fmt.Sprintf("unique %s on %s (%s): %d values are there more than once", x.Name, tt.want.Name, strings.Join(x.Columns, ", "), h.Count)
				h.Fix = "find them: " + groups
				at.Hazards = append(at.Hazards, h)
			}
		}
	}
	return nil
}

func (p *twinPlan) misfits(ctx context.Context, q querier, s *syncing, live *TableInfo) ([]Hazard, error) {
	x := p.d.syntax()
	at := s.from
	if live.Column(s.from) == nil { // not yet doubled, whatever the reason
		at = s.twin.Old
	}
	loses := s.newLoses(x.name(at))
	if loses == "" {
		return nil, nil
	}
	cond := x.name(at) + " IS NOT NULL AND (" + loses + ")"
	return p.look(ctx, q, live, at, cond, fmt.Sprintf("%s.%s: %%d rows would lose their value as %s", s.table, s.twin.Old, s.twin.ToType))
}

func (p *twinPlan) look(ctx context.Context, q querier, live *TableInfo, column, cond, message string) ([]Hazard, error) {
	x := p.d.syntax()
	from := " FROM " + x.name(live.Name) + " WHERE " + cond
	h := Hazard{Level: Refuse, Table: live.Name, Object: column, Fix: "find them: SELECT *" + from}
	if err := q.QueryRowContext(ctx, "SELECT count(*)"+from).Scan(&h.Count); err != nil || h.Count == 0 {
		return nil, err
	}
	h.Message = fmt.Sprintf(message, h.Count)
	columns := slices.Clone(live.PrimaryKey)
	if !containsFold(columns, column) {
		columns = append(columns, column)
	}
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i] = x.show(x.name(c))
	}
	rows, err := queryTexts(ctx, q, len(columns), fmt.Sprintf("SELECT %s%s LIMIT %d", strings.Join(exprs, ", "), from, maxSamples))
	for _, r := range rows {
		for i := range r {
			r[i] = columns[i] + "=" + r[i]
		}
		h.Samples = append(h.Samples, strings.Join(r, " "))
	}
	return []Hazard{h}, err
}

func queryTexts(ctx context.Context, q querier, n int, query string) ([][]string, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	var out [][]string
	for rows.Next() {
		row := make([]string, n)
		into := make([]any, n)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

func countRows(ctx context.Context, q querier, d dialect, table string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT count(*) FROM "+d.syntax().name(table)).Scan(&n)
	return n, err
}
