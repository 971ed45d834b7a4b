package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// due are the steps that this run does. If any is left, the record keeps what they take away.
func (a *applier) due(plan *Plan) []*Step {
	steps := slices.DeleteFunc(slices.Clone(plan.Steps), a.waits)
	a.partial = len(steps) < len(plan.Steps)
	return steps
}

// waits tells whether the step is for a later run.
func (a *applier) waits(s *Step) bool {
	switch {
	case s.later:
		return true
	case s.Phase == Switch:
		return a.options.ExpandOnly
	}
	return s.Phase == Contract && s.Kind != Record && (a.options.ExpandOnly || a.options.NoContract || a.partial)
}

// Losses are the hazards that need approval before a new revision may serve: all of them but the end of a [Twin], whose values are in
// the other column.
func (p *Plan) Losses() []Hazard {
	shown := &Plan{Blockers: p.Blockers, Steps: slices.DeleteFunc(slices.Clone(p.Steps), func(s *Step) bool { return s.twin })}
	return shown.Hazards(Approve)
}

// Left tells whether there are steps of a phase, announced ones included.
func (p *Plan) Left(phase Phase) bool {
	return slices.ContainsFunc(p.Steps, func(s *Step) bool { return s.Phase == phase && s.Kind != Record })
}

// promiseKey is the key in journalTable of what was approved for a later run, beside the owner's own row: an owner has no colon.
func promiseKey(owner string) string { return "contract:" + owner }

// loss names what is approved with a hazard.
func (h Hazard) loss() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q%q", h.Table, h.Object))
	return hex.EncodeToString(sum[:12])
}

// promise remembers the approval of a plan of which steps are left: when it is their turn the plan has another hash, and they are
// approved still.
func (a *applier) promise(ctx context.Context, plan *Plan) error {
	if a.options.Approve != plan.Hash {
		return nil
	}
	var losses []string
	for _, s := range plan.Steps {
		for _, h := range s.Hazards {
			if h.Level == Approve && a.waits(s) {
				losses = append(losses, h.loss())
			}
		}
	}
	if len(losses) == 0 {
		return nil
	}
	return a.replace(ctx, journalTable, []string{"owner", "hash", "steps"}, promiseKey(plan.Owner), plan.Hash, strings.Join(losses, " "))
}

// redeem forgets it.
func (a *applier) redeem(ctx context.Context, owner string) error {
	x := a.d.syntax()
	return execOne(ctx, a.conn, "DELETE FROM "+x.name(journalTable)+" WHERE "+x.name("owner")+" = "+x.text(promiseKey(owner)))
}

// unpromised are the hazards that an earlier run with the same approval has not remembered.
func (a *applier) unpromised(ctx context.Context, owner string, hazards []Hazard) ([]Hazard, error) {
	if a.options.Approve == "" {
		return hazards, nil
	}
	x := a.d.syntax()
	var losses string
	err := a.conn.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s AND %s = %s", x.name("steps"), x.name(journalTable),
		x.name("owner"), x.text(promiseKey(owner)), x.name("hash"), x.text(a.options.Approve))).Scan(&losses)
	if errors.Is(err, sql.ErrNoRows) {
		return hazards, nil
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: read what was approved: %w", err)
	}
	known := strings.Fields(losses)
	return slices.DeleteFunc(hazards, func(h Hazard) bool { return slices.Contains(known, h.loss()) }), nil
}

// Approved is the hash of the owner's plan that was approved and of which steps are left for a later Apply; "" where there is none.
func Approved(ctx context.Context, db *sql.DB, owner string) (hash string, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	d, err := detect(ctx, conn)
	if err != nil {
		return "", err
	}
	x := d.syntax()
	err = conn.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s", x.name("hash"), x.name(journalTable), x.name("owner"), x.text(promiseKey(owner)))).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hash, err
}
