package database

import (
	"context"

	"github.com/odac-run/odachost/buffer"
)

// Target applies the batches of package buffer to a database.
type Target struct{ db *DB }

var _ buffer.Target = (*Target)(nil)

// Applied implements buffer.Target.
func (t *Target) Applied(ctx context.Context, node string, lane buffer.Lane) (buffer.LSN, error) {
	return 0, ErrUnsupported
}

// Apply implements buffer.Target.
func (t *Target) Apply(ctx context.Context, batch *buffer.Batch) (buffer.Result, error) {
	return buffer.Result{}, ErrUnsupported
}

// Dead implements buffer.Target.
func (t *Target) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) ([]buffer.Dead, error) {
	return nil, ErrUnsupported
}
