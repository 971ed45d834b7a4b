package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the folders have to be quiet before they are looked at: editors write a file in several steps.
const settle = 30 * time.Millisecond

// watcher tells when files below some folders have other contents than before. It looks at contents, not at events alone: what
// a build writes itself, and a file that was saved without a change, is nothing new. Hidden files, editors' temporary
// ones, logs, and what a build makes (.wasm, .odac) are never looked at.
type watcher struct {
	roots   []string
	events  *fsnotify.Watcher
	changes chan struct{}
	done    sync.WaitGroup
	seen    map[string]content // by file
}

type content struct {
	size     int64
	modified time.Time
	sum      [sha256.Size]byte
}

// newWatcher takes what the folders hold now as known. Close it.
func newWatcher(roots []string) (*watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &watcher{roots: roots, events: events, changes: make(chan struct{}, 1)}
	for _, root := range roots {
		if err := w.add(root); err != nil {
			return nil, errors.Join(err, events.Close())
		}
	}
	w.Changed()
	w.done.Go(w.run)
	return w, nil
}

// Changes gets a value when it is time to ask Changed.
func (w *watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watching, and returns when its goroutine is gone.
func (w *watcher) Close() error {
	err := w.events.Close()
	w.done.Wait()
	return err
}

// run takes the events of one save together.
func (w *watcher) run() {
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case event, ok := <-w.events.Events:
			if !ok {
				return
			}
			if ignored(event.Name) || event.Op == fsnotify.Chmod {
				continue
			}
			if event.Has(fsnotify.Create) && isFolder(event.Name) {
				_ = w.add(event.Name) // gone again, or no watch left: its files are still looked at with the next event
			}
			quiet.Reset(settle)
		case _, ok := <-w.events.Errors:
			if !ok {
				return
			}
			quiet.Reset(settle) // events were lost: look
		case <-quiet.C:
			select {
			case w.changes <- struct{}{}:
			default:
			}
		}
	}
}

// add watches a folder and those below it.
func (w *watcher) add(root string) error {
	return walk(root, func(path string, entry fs.DirEntry) error {
		if !entry.IsDir() {
			return nil
		}
		err := w.events.Add(path)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
			return fmt.Errorf("watch %s: %w: the system allows no more watched folders: raise fs.inotify.max_user_watches and max_user_instances", path, err)
		}
		return err
	})
}

// walk visits what counts below a root. What vanishes meanwhile is left out.
func walk(root string, visit func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil
		case err != nil:
			return err
		case path != root && ignored(path):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		return visit(path, entry)
	})
}

// Changed names the files that were added, written or deleted since it was asked last, sorted.
func (w *watcher) Changed() []string {
	now := make(map[string]content, len(w.seen))
	var changed []string
	for _, root := range w.roots {
		// An error is a folder in the middle of a change; the event of its end will come.
		_ = walk(root, func(path string, entry fs.DirEntry) error {
			if !entry.Type().IsRegular() {
				return nil
			}
			before, known := w.seen[path]
			c, err := read(path, before)
			if err != nil {
				return nil //nolint:nilerr // vanished
			}
			now[path] = c
			if !known || before.sum != c.sum {
				changed = append(changed, relative(root, path))
			}
			return nil
		})
	}
	for path := range maps.Keys(w.seen) {
		if _, still := now[path]; !still {
			changed = append(changed, relative(w.roots[0], path))
		}
	}
	w.seen = now
	slices.Sort(changed)
	return changed
}

// read gives a file's content, without reading it where size and time are as before.
func read(path string, before content) (content, error) {
	info, err := os.Stat(path)
	if err != nil {
		return content{}, err
	}
	c := content{size: info.Size(), modified: info.ModTime()}
	if c.size == before.size && c.modified.Equal(before.modified) && !c.modified.IsZero() {
		return before, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return content{}, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	copy(c.sum[:], sum.Sum(nil))
	return c, errors.Join(err, f.Close())
}

func relative(root, path string) string {
	if r, err := filepath.Rel(root, path); err == nil {
		return r
	}
	return path
}

// ignored says whether a file or folder is no source: hidden, an editor's, or made by a build.
func ignored(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") && !slices.Contains([]string{".", "..", ".well-known"}, name) || strings.HasSuffix(name, "~") {
		return true
	}
	switch filepath.Ext(name) {
	case ".wasm", ".odac", ".swp", ".swx", ".tmp", ".log": // a log that dev itself writes to would have it build for ever
		return true
	}
	return name == "node_modules" || name == "4913" // vim asks with 4913 whether it may write
}
