package migrate

import (
	"context"
	"fmt"
)

// rename replays the live definitions in a scratch database and lets SQLite itself carry the new names through every index,
// key, trigger and view.
func (s sqlite) rename(ctx context.Context, live *Database, renames []Rename) (*Database, []*Step, error) {
	db, conn, err := s.scratch(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _, _ = conn.Close(), db.Close() }()
	var replay []string
	for _, t := range live.Tables {
		if t.create == nil {
			continue
		}
		replay = append(replay, t.create.sql(t.Name))
	}
	for _, t := range live.Tables {
		for _, x := range t.Indexes {
			if x.SQL != "" {
				replay = append(replay, x.SQL)
			}
		}
	}
	for _, o := range live.Views {
		replay = append(replay, o.SQL)
	}
	for _, o := range live.Triggers {
		replay = append(replay, o.SQL)
	}
	for _, query := range replay {
		if err := execOne(ctx, conn, query); err != nil {
			return nil, nil, fmt.Errorf("migrate: rename a column: SQLite refuses %q in the shadow: %w", cut(query), err)
		}
	}
	var steps []*Step
	for _, r := range renames {
		step := r.step(s, lockWrites)
		if err := execOne(ctx, conn, step.SQL[0]); err != nil {
			return nil, nil, fmt.Errorf("migrate: rename %s.%s to %s: %w", r.Table, r.From, r.To, err)
		}
		steps = append(steps, step)
	}
	out, err := s.inspect(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	out.Applied = live.Applied
	for name, t := range live.Tables {
		if t.create == nil {
			out.Tables[name] = t
		}
	}
	return out, steps, nil
}
