package migrate

import (
	"context"
	"fmt"
)

// countWhere counts the rows of a table, which source gives, for which cond holds. samples is asked if there are any.
func countWhere(ctx context.Context, q querier, table, source, cond string, samples func() ([]string, error)) (int64, []string, error) {
	var n int64
	if err := q.QueryRowContext(ctx, "SELECT count(*) FROM "+source+" WHERE "+cond).Scan(&n); err != nil {
		return 0, nil, fmt.Errorf("migrate: look at the rows of %s: %w", table, err)
	}
	if n == 0 {
		return 0, nil, nil
	}
	list, err := samples()
	return n, list, err
}

// texts returns the first column of each row.
func texts(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("migrate: take samples: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("migrate: take samples: %w", err)
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
