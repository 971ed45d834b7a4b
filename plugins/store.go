package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// StoreOptions change how a [Store] works. Zero is the default.
type StoreOptions struct {
	// KeepEntries is how many entries of a deployment's history stay, and how far back rollbacks reach; default 20. What
	// no entry names is [Store.GC]'s to delete.
	KeepEntries int
	// KeepRemoved is how long the history of a removed deployment stays, so that [Store.Rollback] can bring it back; default
	// 30 days.
	KeepRemoved time.Duration
	// GraceTime is how long [Store.GC] leaves a bundle that nothing names yet; default one hour.
	GraceTime time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

func (o StoreOptions) withDefaults() StoreOptions {
	if o.KeepEntries <= 0 {
		o.KeepEntries = 20
	}
	if o.KeepRemoved <= 0 {
		o.KeepRemoved = 30 * 24 * time.Hour
	}
	if o.GraceTime <= 0 {
		o.GraceTime = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store is a local folder of bundles and deployments:
//
//	bundles/<64 hexadecimal digits>.odac
//	deployments/<tenant>@<name>.json
//	lock
//
// Every file is written beside its place, flushed and renamed, so that a process that dies leaves the old or the new one.
// Methods that change something take the lock, across processes, and wait for it while ctx lets them; those that read take
// none. A damaged file is an error ([ErrDamaged]) that names it, and no harm to the others.
//
// A Store holds nothing open and has no Close. It may be used by any number of goroutines.
type Store struct {
	dir     string
	options StoreOptions
}

// OpenStore opens the store in a folder, and makes it (mode 0700) where it is missing. A folder that others can write to is refused:
// what lies in it is run.
func OpenStore(dir string, options StoreOptions) (*Store, error) {
	s := &Store{dir: dir, options: options.withDefaults()}
	for _, d := range []struct {
		dir  string
		mask os.FileMode
	}{{dir, 0o022}, {s.bundles(), 0o077}, {s.deployments(), 0o077}} {
		if err := os.MkdirAll(d.dir, 0o700); err != nil {
			return nil, fmt.Errorf("plugins: open store: %w", err)
		}
		if err := checkPrivate(d.dir, d.mask); err != nil {
			return nil, fmt.Errorf("plugins: open store: %w", err)
		}
	}
	return s, nil
}

// Dir is the store's folder. A process that wants to know of deployments made by another watches its folder deployments:
// each change renames one file there.
func (s *Store) Dir() string { return s.dir }

func (s *Store) bundles() string     { return filepath.Join(s.dir, "bundles") }
func (s *Store) deployments() string { return filepath.Join(s.dir, "deployments") }

func (s *Store) bundleFile(d Digest) string {
	return filepath.Join(s.bundles(), d.Hex()+BundleExt)
}

// locked runs f with the store's lock.
func (s *Store) locked(ctx context.Context, f func() error) (err error) {
	release, err := lockFile(ctx, filepath.Join(s.dir, "lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return f()
}

// Put adds a bundle. One that is there already stays as it is; a damaged copy of it is replaced.
func (s *Store) Put(ctx context.Context, b *Bundle) (Revision, error) {
	file := s.bundleFile(b.Digest())
	err := s.locked(ctx, func() error {
		if have, err := readFileLimited(file, defaultBundleLimits.fileBytes); err == nil && DigestOf(have) == b.Digest() {
			now := s.options.Now()
			return os.Chtimes(file, now, now) // so that GC's grace begins anew
		}
		return writeAtomic(file, b.Bytes(), 0o600)
	})
	if err != nil {
		return Revision{}, fmt.Errorf("plugins: put bundle %s: %w", b.Digest().Short(), err)
	}
	return s.revision(b)
}

func (s *Store) revision(b *Bundle) (Revision, error) {
	info, err := os.Stat(s.bundleFile(b.Digest()))
	if err != nil {
		return Revision{}, fmt.Errorf("plugins: find bundle %s: %w", b.Digest().Short(), err)
	}
	return Revision{Digest: b.Digest(), Manifest: b.Manifest(), Bundle: b, AddedAt: info.ModTime().UTC()}, nil
}

// Revision reads and checks a bundle of the store. The error is [ErrNotFound] or [ErrDamaged].
func (s *Store) Revision(digest Digest) (Revision, error) {
	if !digest.valid() {
		return Revision{}, fmt.Errorf("plugins: %.100q is not a digest: write sha256: and 64 hexadecimal digits", digest)
	}
	file := s.bundleFile(digest)
	data, err := readFileLimited(file, defaultBundleLimits.fileBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Revision{}, fmt.Errorf("plugins: bundle %s is %w in the store: deploy it again from its file or folder", digest.Short(), ErrNotFound)
	case err != nil:
		return Revision{}, fmt.Errorf("plugins: read %s: %w", file, err)
	case DigestOf(data) != digest:
		return Revision{}, fmt.Errorf("plugins: %s is %w (%w): deploy the bundle again from its file or folder, which replaces it, or roll back",
			file, ErrDamaged, ErrDigest)
	}
	b, err := openNamed(file, data)
	if err != nil {
		return Revision{}, err
	}
	return s.revision(b)
}
