package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// DeployOptions of [Host.Deploy]. The zero value deploys for the default tenant under the plugin's own name and
// approves nothing.
type DeployOptions struct {
	Tenant, Name string
	// By and Note go into the history.
	By, Note string
	// Approve says that the operator allows the capabilities that the revision adds.
	Approve bool
	// ApprovePlan is the hash of a migration plan with destructive steps that the operator allows.
	ApprovePlan string
	// Progress, if set, is told what is being done, a few words at a time.
	Progress func(step string)
}

// drainTime is how long requests of an old revision may take to end after a swap.
const drainTime = time.Minute

// Deploy makes a bundle serve: load it, check what it may do, bring the tenant's database to its schema, record the
// deployment, switch. Whatever fails before the switch leaves everything as it was, but for applied migrations, which
// only add. Requests and sockets go on over the switch. The same bundle again changes nothing.
func (h *Host) Deploy(ctx context.Context, b *plugins.Bundle, o DeployOptions) (plugins.Deployment, error) {
	or(&o.Tenant, DefaultTenant)
	or(&o.Name, b.Manifest().Name)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	d, err := h.claim(key{o.Tenant, o.Name})
	if err != nil {
		return plugins.Deployment{}, err
	}
	defer d.mu.Unlock()
	if old := d.current.Load(); old != nil && old.digest == b.Digest() {
		o.Progress("unchanged")
		return h.store.Get(o.Tenant, o.Name)
	}
	if err := h.approved(d, b, o.Approve); err != nil {
		return plugins.Deployment{}, err
	}
	o.Progress("compile")
	rev, err := h.load(ctx, d, b)
	if err != nil {
		return plugins.Deployment{}, err
	}
	record, err := h.install(ctx, rev, b, o)
	if err != nil {
		rev.close()
		return plugins.Deployment{}, err
	}
	return record, nil
}

func (h *Host) install(ctx context.Context, rev *revision, b *plugins.Bundle, o DeployOptions) (plugins.Deployment, error) {
	if _, err := h.routes.Load().with(rev.manifest.Mount, rev.dep); err != nil {
		return plugins.Deployment{}, err
	}
	o.Progress("migrate")
	old := rev.dep.current.Load()
	how := migration{apply: true, approve: o.ApprovePlan, online: old != nil}
	if how.online {
		how.until = migrate.Expand
	}
	if _, err := h.migrate(ctx, rev, b, how); err != nil {
		return plugins.Deployment{}, err
	}
	if err := h.fits(ctx, rev); err != nil {
		return plugins.Deployment{}, err
	}
	if err := h.grant(ctx, rev, old); err != nil {
		return plugins.Deployment{}, err
	}
	if err := rev.health(ctx); err != nil {
		return plugins.Deployment{}, err
	}
	o.Progress("record")
	h.installing.Lock()
	defer h.installing.Unlock()
	if _, err := h.routes.Load().with(rev.manifest.Mount, rev.dep); err != nil {
		return plugins.Deployment{}, err // another deploy took the mount meanwhile
	}
	stored, err := h.store.Put(ctx, b)
	if err != nil {
		return plugins.Deployment{}, err
	}
	if old != nil { // columns that change their type under their name
		how.until = migrate.Switch
		if err := h.exchange(ctx, rev, old, b, how); err != nil {
			return plugins.Deployment{}, errors.Join(err, h.switchBack(ctx, old))
		}
	}
	record, err := h.store.Deploy(ctx, plugins.DeployRequest{
		Tenant: o.Tenant, Name: o.Name, Digest: stored.Digest, By: o.By, Note: o.Note, Approve: true, // checked before the load
	})
	if err != nil {
		if old != nil {
			err = errors.Join(err, h.switchBack(ctx, old))
		}
		return plugins.Deployment{}, err
	}
	o.Progress("switch")
	if err := h.switchTo(rev); err != nil {
		return record, err
	}
	h.remember(rev, b)
	if old != nil {
		h.soak(&trial{rev: rev, before: old.digest, bundle: b, approve: o.ApprovePlan})
	}
	return record, nil
}

// approved compares what the bundle asks for with what the serving revision may do. Bytes that served before, since the
// last removal, were approved then.
func (h *Host) approved(d *deployment, b *plugins.Bundle, approve bool) error {
	if approve {
		return nil
	}
	entries, err := h.store.History(d.key.tenant, d.key.name)
	if err != nil && !errors.Is(err, plugins.ErrNotFound) {
		return err
	}
	for _, e := range slices.Backward(entries) {
		if e.Action == plugins.ActionRemove {
			break
		}
		if e.Digest == b.Digest() {
			return nil
		}
	}
	var old *plugins.Manifest
	if r := d.current.Load(); r != nil {
		old = r.manifest
	}
	var added []plugins.GrantChange
	for _, change := range plugins.DiffGrants(old, b.Manifest()) {
		if change.Added {
			added = append(added, change)
		}
	}
	if len(added) > 0 {
		return &plugins.ApprovalError{Tenant: d.key.tenant, Name: d.key.name, Changes: added}
	}
	return nil
}

// switchTo is the swap: the pointer, the routes, the schedules; then the old revision drains in the background.
func (h *Host) switchTo(rev *revision) error {
	d := rev.dep
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return ErrClosed
	}
	routes, err := h.routes.Load().with(rev.manifest.Mount, d)
	if err != nil {
		h.mu.Unlock()
		return err
	}
	old := d.current.Swap(rev)
	h.routes.Store(&routes)
	h.schedules.replace(old, rev)
	delete(h.broken, d.key)
	h.mu.Unlock()
	rev.tenant.listen(d, rev)
	rev.log.Info("serving", "version", rev.manifest.Version, "mount", rev.manifest.Mount.Path)
	h.retire(old)
	return nil
}

// retire closes a revision in the background, when the last request that holds it is done, and then takes its grants.
func (h *Host) retire(old *revision) {
	if old == nil {
		return
	}
	last := &retirement{gone: make(chan struct{})}
	before := old.dep.retiring.Swap(last)
	h.background.Go(func() {
		ctx, cancel := context.WithTimeout(h.life, drainTime)
		defer cancel()
		if err := old.drain(ctx); err != nil {
			old.log.Warn("drained by force", "error", err)
		}
		old.close()
		if before != nil {
			<-before.gone
		}
		old.dep.retiring.CompareAndSwap(last, nil)
		close(last.gone)
		if err := h.settle(h.life, old.dep); err != nil {
			old.log.Error("what the plugin was granted on servers is more than it asks for now: deploy or remove it again", "error", err)
		}
	})
}

// settle takes from a plugin, once an older revision is gone, what only that one was granted on servers.
func (h *Host) settle(ctx context.Context, d *deployment) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return nil // the next start does it
	}
	rev := d.current.Load()
	if rev == nil {
		return h.revoke(ctx, d.key)
	}
	return h.grant(ctx, rev, nil)
}

// Rollback makes an earlier revision of the deployment's history serve again: the one before, or the digest to. The
// database stays as it is: migrations add, so an older revision finds what it knew. After a removal the revision that was
// removed comes back.
func (h *Host) Rollback(ctx context.Context, tenant, name string, to plugins.Digest, by, note string) (plugins.Deployment, error) {
	or(&tenant, DefaultTenant)
	d, err := h.claim(key{tenant, name})
	if err != nil {
		return plugins.Deployment{}, err
	}
	defer d.mu.Unlock()
	return h.rollback(ctx, d, to, by, note)
}

// rollback is Rollback of a deployment that the caller has claimed.
func (h *Host) rollback(ctx context.Context, d *deployment, to plugins.Digest, by, note string) (plugins.Deployment, error) {
	tenant, name := d.key.tenant, d.key.name
	before, err := h.store.Get(tenant, name)
	removed := errors.Is(err, plugins.ErrNotFound)
	if err != nil && !removed {
		return plugins.Deployment{}, err
	}
	record, err := h.store.Rollback(ctx, plugins.RollbackRequest{Tenant: tenant, Name: name, To: to, By: by, Note: note})
	if err != nil {
		return plugins.Deployment{}, err
	}
	if err := h.serveStored(ctx, d, record.Digest); err != nil {
		// The record goes back to what serves.
		const note = "rollback failed"
		ctx := context.WithoutCancel(ctx)
		if removed {
			return plugins.Deployment{}, errors.Join(err, h.store.Remove(ctx, tenant, name, by, note))
		}
		_, undo := h.store.Deploy(ctx, plugins.DeployRequest{Tenant: tenant, Name: name, Digest: before.Digest, By: by, Note: note, Approve: true})
		return plugins.Deployment{}, errors.Join(err, undo)
	}
	return record, nil
}

// serveStored loads a revision of the store and switches to it.
func (h *Host) serveStored(ctx context.Context, d *deployment, digest plugins.Digest) error {
	if old := d.current.Load(); old != nil && old.digest == digest {
		return nil
	}
	stored, err := h.store.Revision(digest)
	if err != nil {
		return err
	}
	rev, err := h.load(ctx, d, stored.Bundle)
	if err != nil {
		return err
	}
	left, err := h.restore(ctx, rev, stored.Bundle)
	if err != nil {
		rev.close()
		return err
	}
	old := d.current.Load()
	if err := h.grant(ctx, rev, old); err != nil {
		rev.close()
		return err
	}
	if err := h.switchTo(rev); err != nil {
		rev.close()
		return err
	}
	h.remember(rev, stored.Bundle)
	if left && old == nil { // at a start of the host
		h.soak(&trial{rev: rev, bundle: stored.Bundle})
	}
	return nil
}

// Remove takes a deployment out of service: routes and schedules go at once, sockets are closed, requests finish.
// Its data stays.
func (h *Host) Remove(ctx context.Context, tenant, name, by, note string) error {
	or(&tenant, DefaultTenant)
	d, err := h.claim(key{tenant, name})
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	if err := h.store.Remove(ctx, tenant, name, by, note); err != nil {
		return err
	}
	h.mu.Lock()
	old := d.current.Swap(nil)
	routes := h.routes.Load().without(d)
	h.routes.Store(&routes)
	h.schedules.replace(old, nil)
	delete(h.broken, d.key)
	h.mu.Unlock()
	h.tenant(d.key.tenant).listen(d, nil)
	h.retire(old)
	return h.hub.Scope(d.key.String()).CloseAll(ctx, 1001, "the plugin was removed")
}

// Call runs a function that a plugin registered with odac.Func, or an export of an Extism plugin. body and the answer are
// the plugin's own format.
func (h *Host) Call(ctx context.Context, tenant, plugin, name string, body []byte) ([]byte, error) {
	or(&tenant, DefaultTenant)
	d := h.find(key{tenant, plugin})
	if d == nil {
		return nil, fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, plugin)
	}
	rev := d.acquire()
	if rev == nil {
		return nil, fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, plugin)
	}
	defer rev.release()
	if rev.manifest.Extism != nil {
		var out []byte
		err := rev.export(ctx, abi.EventCall, name, name, body, func(output []byte) error {
			out = bytes.Clone(output)
			return nil
		})
		return out, err
	}
	var out abi.CallReply
	if err := rev.event(ctx, abi.EventCall, name, &abi.CallEvent{Name: name, Body: body}, &out, false); err != nil {
		return nil, err
	}
	return out.Body, nil
}
