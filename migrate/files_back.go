package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Rollback runs the .down.sql of the owner's last batch of migration files, the last file first, and forgets that they were applied.
// It returns their names, in that order: none if no file is applied. Tables stay as the schema made them: an older schema takes
// them back. Every down is looked for before the first one runs; where the server allows it all run in one transaction, else
// the error says how far it came, and Rollback again goes on from there.
func Rollback(ctx context.Context, db *sql.DB, options Options, apply ApplyOptions) (names []string, err error) {
	options.Owner = or(options.Owner, "app")
	err = locked(ctx, db, apply, func(a *applier, live *Database) error {
		names, err = a.rollback(ctx, live, options)
		return err
	})
	return names, err
}

func (a *applier) rollback(ctx context.Context, live *Database, o Options) (names []string, err error) {
	applied, err := readFiles(ctx, a.d, a.conn, live, o.Owner)
	if err != nil {
		return nil, err
	}
	batch, err := lastBatch(applied, o.Files)
	if err != nil || len(batch) == 0 {
		return nil, err
	}
	r := &fileRunner{d: a.d, dialect: live.Dialect, options: o, tables: ownTables(planInput{schema: &Schema{}, live: live}, o.Owner)}
	texts := make([][]statement, len(batch))
	for i, f := range batch {
		if texts[i], err = f.down.statements(r.dialect); err != nil {
			return nil, err
		}
	}
	before, err := a.d.health(ctx, a.conn, live)
	if err != nil {
		return nil, err
	}
	for i, f := range batch {
		a.progress(Event{Step: i + 1, Steps: len(batch), Kind: RunFile, Message: f.down.at})
		if err := a.takeBack(ctx, r, f, texts[i]); err != nil {
			return names, err
		}
		names = append(names, f.Name)
		a.progress(Event{Step: i + 1, Steps: len(batch), Kind: RunFile, Message: f.down.at, Done: true})
	}
	after, err := a.health(ctx)
	if err != nil {
		return names, err
	}
	return names, worse(before, after)
}

// lastBatch returns the files of the last batch, the last first.
func lastBatch(applied []AppliedFile, files *Files) ([]*File, error) {
	if err := (&Files{list: files.List()}).check(applied); err != nil {
		return nil, err
	}
	var last int64
	for _, f := range applied {
		if f.Finished != "" {
			last = max(last, f.Batch)
		}
	}
	var out []*File
	var errs []error
	for _, a := range slices.Backward(applied) {
		if a.Finished == "" || a.Batch != last {
			continue
		}
		f := files.find(a.Name)
		if f.down.at == "" {
			errs = append(errs, fmt.Errorf("%w: there is no %s.down.sql: write it, also where it does nothing", ErrFiles, a.Name))
		}
		out = append(out, f)
	}
	return out, errors.Join(errs...)
}

func (a *applier) takeBack(ctx context.Context, r *fileRunner, f *File, list []statement) error {
	var err error
	if f.down.alone || r.dialect == dialectMySQL {
		err = a.end(ctx, true)
	} else {
		err = a.begin(ctx)
	}
	if err != nil {
		return err
	}
	for i, st := range list {
		if _, err := r.statements(ctx, a.conn, f.down, []statement{st}); err != nil {
			if a.inside {
				return fmt.Errorf("migrate: roll back %s: %w; nothing was rolled back", f.Name, err)
			}
			return fmt.Errorf("migrate: roll back %s: %w; %d of its %d statements ran, and it is still recorded as applied", f.Name, err, i, len(list))
		}
	}
	return forgetFile(ctx, r.d, a.conn, r.options.Owner, f.Name)
}
