package plugins

import (
	"context"
	"errors"
	"fmt"
)

// Deploy makes a revision the one that a deployment points at. It is the last step of a deployment: the host has compiled,
// migrated and warmed it up by then.
//
// A revision that may do more than the running one needs Approve, else the error is an [*ApprovalError] and nothing has
// changed; with nothing running, everything is more. A revision that ran before in this deployment, since it was last removed, was
// approved then. Deploying what already runs changes nothing.
func (s *Store) Deploy(ctx context.Context, r DeployRequest) (Deployment, error) {
	if err := checkKey(r.Tenant, r.Name, r.By, r.Note); err != nil {
		return Deployment{}, err
	}
	var deployment Deployment
	err := s.locked(ctx, func() error {
		revision, err := s.Revision(r.Digest)
		if err != nil {
			return err
		}
		rec, err := s.read(r.Tenant, r.Name)
		if err != nil {
			return err
		}
		if rec == nil {
			rec = &record{Format: recordVersion, Tenant: r.Tenant, Name: r.Name}
		} else if rec.last().Digest == r.Digest {
			deployment = rec.deployment()
			return nil
		}
		added, err := s.newGrants(rec, revision)
		if err != nil {
			return err
		}
		if len(added) > 0 && !r.Approve {
			return &ApprovalError{Tenant: r.Tenant, Name: r.Name, Changes: added}
		}
		e := Entry{Action: ActionDeploy, Digest: r.Digest, Version: revision.Manifest.Version, At: s.now(), By: r.By, Note: r.Note}
		for _, c := range added {
			e.Approved = append(e.Approved, c.String())
		}
		if len(rec.History) > 0 {
			// After a removal, a rollback from here goes back to what ran before it.
			if e.Previous = rec.last().Seq; rec.last().Action == ActionRemove {
				e.Previous = rec.last().Previous
			}
		}
		rec.add(e, s.options.KeepEntries)
		deployment = rec.deployment()
		return s.write(rec)
	})
	if err != nil {
		return Deployment{}, locally(err, "deploy")
	}
	return deployment, nil
}

// newGrants is what the revision may do and the deployment was never allowed. A running revision that cannot be read counts
// as none.
func (s *Store) newGrants(rec *record, revision Revision) ([]GrantChange, error) {
	for i := len(rec.History) - 1; i >= 0 && rec.History[i].Action != ActionRemove; i-- {
		if rec.History[i].Digest == revision.Digest {
			return nil, nil
		}
	}
	var running *Manifest
	if len(rec.History) > 0 && rec.last().Digest != "" {
		switch r, err := s.Revision(rec.last().Digest); {
		case err == nil:
			running = r.Manifest
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged):
			return nil, err
		}
	}
	return addedOnly(DiffGrants(running, revision.Manifest)), nil
}

// Rollback points a deployment back at a revision that ran before. It needs no approval: the revision had it.
//
// Without To it undoes the newest deployment, and each further one undoes the one before it, as undo does in an editor: after
// deploying 1, 2, 3, rollback gives 2, rollback gives 1, and a third one is [ErrNotFound]. A deployment after a rollback
// continues from there: 1, 2, rollback (1), deploy 3, rollback gives 1. With To it goes straight to the newest entry of the
// history with that digest, older or newer, and further rollbacks go on from that entry's place. After [Store.Remove] it brings
// back what ran.
func (s *Store) Rollback(ctx context.Context, r RollbackRequest) (Deployment, error) {
	if err := checkKey(r.Tenant, r.Name, r.By, r.Note); err != nil {
		return Deployment{}, err
	}
	var deployment Deployment
	err := s.locked(ctx, func() error {
		rec, err := s.read(r.Tenant, r.Name)
		if err != nil {
			return err
		}
		if rec == nil {
			return noDeployment(r.Tenant, r.Name)
		}
		if r.To != "" && rec.last().Digest == r.To {
			deployment = rec.deployment()
			return nil
		}
		target, err := rec.target(r.To)
		if err != nil {
			return err
		}
		if _, err := s.Revision(target.Digest); err != nil {
			return err
		}
		rec.add(Entry{
			Action: ActionRollback, Digest: target.Digest, Version: target.Version, Previous: target.Previous, Target: target.Seq,
			At: s.now(), By: r.By, Note: r.Note,
		}, s.options.KeepEntries)
		deployment = rec.deployment()
		return s.write(rec)
	})
	if err != nil {
		return Deployment{}, locally(err, "roll back")
	}
	return deployment, nil
}

// target finds the entry that a rollback goes to.
func (r *record) target(to Digest) (Entry, error) {
	if to == "" {
		if e, ok := r.entry(r.last().Previous); ok {
			return e, nil
		}
		return Entry{}, fmt.Errorf("plugins: %s of tenant %s has no earlier revision to roll back to: %w; deploy one", r.Name, r.Tenant, ErrNotFound)
	}
	for i := len(r.History) - 1; i >= 0; i-- {
		if r.History[i].Digest == to {
			return r.History[i], nil
		}
	}
	return Entry{}, fmt.Errorf("plugins: bundle %.100s in the history of %s of tenant %s: %w; deploy it instead", to, r.Name, r.Tenant, ErrNotFound)
}

// Remove takes a deployment away. Its history stays for [StoreOptions.KeepRemoved], and until then [Store.Rollback] brings it back.
func (s *Store) Remove(ctx context.Context, tenant, name, by, note string) error {
	if err := checkKey(tenant, name, by, note); err != nil {
		return err
	}
	err := s.locked(ctx, func() error {
		rec, err := s.read(tenant, name)
		if err != nil {
			return err
		}
		if rec == nil || rec.last().Action == ActionRemove {
			return noDeployment(tenant, name)
		}
		rec.add(Entry{Action: ActionRemove, Previous: rec.last().Seq, At: s.now(), By: by, Note: note}, s.options.KeepEntries)
		return s.write(rec)
	})
	return locally(err, "remove")
}

// Get gives one deployment; the error is [ErrNotFound] where there is none, or it was removed.
func (s *Store) Get(tenant, name string) (Deployment, error) {
	rec, err := s.get(tenant, name)
	if err != nil {
		return Deployment{}, err
	}
	if rec.last().Action == ActionRemove {
		return Deployment{}, noDeployment(tenant, name)
	}
	return rec.deployment(), nil
}

// History gives a deployment's entries, oldest first, also those of a removed one.
func (s *Store) History(tenant, name string) ([]Entry, error) {
	rec, err := s.get(tenant, name)
	if err != nil {
		return nil, err
	}
	return rec.History, nil
}

func (s *Store) get(tenant, name string) (*record, error) {
	if err := checkKey(tenant, name, "", ""); err != nil {
		return nil, err
	}
	rec, err := s.read(tenant, name)
	if err == nil && rec == nil {
		err = noDeployment(tenant, name)
	}
	return rec, err
}

// List gives the deployments of all tenants, by tenant and name, without those that were removed. Where a file cannot be read, the
// error ([ErrDamaged]) joins one per file, and the list has all others.
func (s *Store) List() ([]Deployment, error) {
	records, err := s.records()
	list := make([]Deployment, 0, len(records))
	for _, r := range records {
		if r.last().Action != ActionRemove {
			list = append(list, r.deployment())
		}
	}
	return list, err
}

func noDeployment(tenant, name string) error {
	return fmt.Errorf("plugins: deployment %s of tenant %s: %w; odachost plugins lists what there is", name, tenant, ErrNotFound)
}

const (
	maxByBytes   = 255
	maxNoteBytes = 4096
)

func checkKey(tenant, name, by, note string) error {
	if err := checkName(tenant); err != nil {
		return fmt.Errorf("plugins: tenant %w", err)
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("plugins: deployment name %w", err)
	}
	if len(by) > maxByBytes || len(note) > maxNoteBytes {
		return fmt.Errorf("plugins: who or why is too long: at most %d and %d bytes are kept", maxByBytes, maxNoteBytes)
	}
	return nil
}
