package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// What follows a switch: the new revision serves on trial, and only when it has stood that, and nobody uses the revision before, goes what
// only that one needed of the database.

// trial is a revision that serves and can still be taken back.
type trial struct {
	rev    *revision
	bundle *plugins.Bundle
	before plugins.Digest // of the revision to go back to; "" is the one before in the history
	// approve is the hash of the plan whose losses the operator allowed; "" is that of the last plan that was applied in part.
	approve string
	until   time.Time
}

const (
	trialTick = 100 * time.Millisecond
	// trialEvents is how many events a revision has before their failures say something.
	trialEvents = 20
	// trialHealth is how often a revision on trial is asked for its health.
	trialHealth = time.Second
	// healthCall is the function that a plugin may have for it: an error says that it must not serve.
	healthCall = "health"
)

// health asks the revision, if it can be asked.
func (r *revision) health(ctx context.Context) error {
	if !slices.Contains(r.registration.Calls, healthCall) {
		return nil
	}
	var out abi.CallReply
	if err := r.event(ctx, abi.EventCall, healthCall, &abi.CallEvent{Name: healthCall}, &out, false); err != nil {
		return fmt.Errorf("host: plugin %s: its function %s: %w", r.key.name, healthCall, err)
	}
	return nil
}

// soak begins a trial. What is left of the migration follows it.
func (h *Host) soak(t *trial) {
	t.until = time.Now().Add(h.config.Deploy.SoakTime)
	t.rev.dep.trial.Store(t)
	h.background.Go(func() {
		defer t.rev.dep.trial.CompareAndSwap(t, nil)
		switch stood, why := t.watch(h.life); {
		case why != nil:
			h.takeBack(t, why)
		case stood && h.alone(h.life, t.rev.dep) == nil: // none comes again: the trial would be over
			h.finish(t)
		}
	})
}

// watch looks at the revision until the trial is over. stood says that it still serves then; why is what it did wrong.
func (t *trial) watch(ctx context.Context) (stood bool, why error) {
	tick := time.NewTicker(trialTick)
	defer tick.Stop()
	events, failures := t.rev.stat.events.Load(), t.rev.failed()
	asked := time.Now()
	for {
		if t.rev.dep.current.Load() != t.rev {
			return false, nil
		}
		if now := time.Now(); !t.until.After(now) {
			return true, nil
		} else if now.Sub(asked) >= trialHealth {
			asked = now
			if err := t.rev.health(ctx); err != nil && ctx.Err() == nil {
				return false, err
			}
		}
		n, bad := t.rev.stat.events.Load()-events, t.rev.failed()-failures
		if most := t.rev.host.config.Deploy.MaxFailedPercent; most >= 0 && n >= trialEvents && bad*100 > n*uint64(most) {
			return false, fmt.Errorf("%d of %d events failed", bad, n)
		}
		select {
		case <-ctx.Done():
			return false, nil // the next start begins the trial again
		case <-tick.C:
		}
	}
}

// failed is how many events ended in an error, answers of 500 and above among them.
func (r *revision) failed() uint64 { return r.stat.failures.Load() + r.stat.faults.Load() }

// takeBack makes the revision before serve again.
func (h *Host) takeBack(t *trial, why error) {
	d, err := h.claim(t.rev.key)
	if err != nil {
		return // the host is closing
	}
	defer d.mu.Unlock()
	if d.current.Load() != t.rev {
		return // somebody was faster
	}
	note := fmt.Sprintf("on trial for %v: %v", h.config.Deploy.SoakTime, why)
	if _, err := h.rollback(h.life, d, t.before, "odachost", note[:min(len(note), 200)]); err != nil {
		t.rev.log.Error("the revision failed on trial and serves on, for the one before does not", "why", why, "error", err)
		return
	}
	t.rev.log.Error("the revision failed on trial: the one before serves again", "why", why)
}

// finish ends the migration of a revision that has stood its trial: what only the one before needed goes.
func (h *Host) finish(t *trial) {
	d, err := h.claim(t.rev.key)
	if err != nil {
		return // the next start does it
	}
	defer d.mu.Unlock()
	if d.current.Load() != t.rev {
		return
	}
	done, err := h.migrate(h.life, t.rev, t.bundle, migration{apply: true, again: true, approve: t.approve, contract: true})
	var approval *migrate.ApprovalError
	switch {
	case errors.As(err, &approval):
		t.rev.log.Info("the database has more than this revision's schema: left as it is")
	case err != nil && h.life.Err() == nil:
		t.rev.log.Error("what only the revision before needed is still in the database: the next start tries again, and so does odachost migrate apply", "error", err)
	}
	if slices.ContainsFunc(done, func(m Migration) bool { return m.Applied }) {
		if err := h.grant(h.life, t.rev, nil); err != nil {
			t.rev.log.Error("grants on what is left", "error", err)
		}
	}
}

// alone waits until no revision before the serving one is in use: what it needs may go then.
func (h *Host) alone(ctx context.Context, d *deployment) error {
	old := d.retiring.Load()
	if old == nil {
		return nil
	}
	select {
	case <-old.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("host: %s: requests of the revision before still run: try again: %w", d.key, ctx.Err())
	}
}

// switchBack gives the revision that goes on serving the database that it knows.
func (h *Host) switchBack(ctx context.Context, old *revision) error {
	stored, err := h.store.Revision(old.digest)
	if err != nil {
		return err
	}
	_, err = h.restore(context.WithoutCancel(ctx), old, stored.Bundle)
	return err
}

// exchange has columns that change their type under their name take the name, and grants follow them.
func (h *Host) exchange(ctx context.Context, rev, old *revision, b *plugins.Bundle, how migration) error {
	done, err := h.migrate(ctx, rev, b, how)
	if err == nil && slices.ContainsFunc(done, func(m Migration) bool { return m.Applied }) {
		err = h.grant(ctx, rev, old)
	}
	return err
}

// stages applies a plan, and what it only announced when its turn comes, up to the phase that is asked for.
func (h *Host) stages(ctx context.Context, db *sql.DB, schema *migrate.Schema, o migrate.Options, p *migrate.Plan, how migration) error {
	apply := migrate.ApplyOptions{Approve: how.approve, ExpandOnly: how.until == migrate.Expand, NoContract: how.until == migrate.Switch}
	for range maxStages {
		if _, err := p.Apply(ctx, db, apply); err != nil {
			return err
		}
		var err error
		if p, _, err = status(ctx, db, schema, o, true); err != nil {
			return err
		}
		more := p.Left(migrate.Expand) || p.Left(migrate.Switch) && !apply.ExpandOnly || p.Left(migrate.Contract) && !apply.ExpandOnly && !apply.NoContract
		if !more {
			return nil
		}
	}
	return errors.New("other migrations of the same tables are in the way: try again")
}

// maxStages is more than a plan has: expand, switch, contract, and as many again for one that had to begin anew.
const maxStages = 6
