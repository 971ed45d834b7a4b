package host

import (
	"context"
	"sync"
	"sync/atomic"
)

// key names a deployment.
type key struct{ tenant, name string }

// String is the key as logs, socket scopes and errors write it.
func (k key) String() string { return k.tenant + "/" + k.name }

// deployment is a name that a tenant's plugin serves under, and the pointer to the revision that serves it now. It
// outlives revisions: sockets and routes hold the deployment, never the revision.
type deployment struct {
	key     key
	current atomic.Pointer[revision] // nil before the first deploy and after removal

	vars  variables // of an Extism plugin
	inbox inbox

	trial    atomic.Pointer[trial]      // of the revision that serves
	retiring atomic.Pointer[retirement] // of the revision before, while it is in use

	mu sync.Mutex // one deploy, rollback or removal at a time
}

// retirement is over when nobody uses the revision any more, nor one before it.
type retirement struct{ gone chan struct{} }

// acquire gives the serving revision and holds it until release, or nil when the deployment is gone. It never waits.
func (d *deployment) acquire() *revision {
	for {
		r := d.current.Load()
		if r == nil || r.hold() {
			return r
		}
		// Swapped between the load and the hold: the pointer has moved on.
	}
}

// lease counts who uses a revision, so that a swap can wait for the last of them.
type lease struct {
	users    atomic.Int64
	draining atomic.Bool
	idle     chan struct{}
	once     sync.Once
}

// hold enters; false when the revision is being drained.
func (l *lease) hold() bool {
	l.users.Add(1)
	if l.draining.Load() {
		l.release()
		return false
	}
	return true
}

// release leaves.
func (l *lease) release() {
	if l.users.Add(-1) == 0 && l.draining.Load() {
		l.once.Do(func() { close(l.idle) })
	}
}

// drain refuses new users and waits for the present ones, until ctx ends.
func (l *lease) drain(ctx context.Context) error {
	l.users.Add(1)
	l.draining.Store(true)
	l.release()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
