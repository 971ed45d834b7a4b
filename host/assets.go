package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// assets serves a revision's static files from memory, without asking the plugin: whole, with an ETag of the content, no
// directory lists. They are let go while the plugin sleeps, and read again from the store.
type assets struct {
	rev    *revision
	prefix string // of the URL path, ends in a slash
	files  atomic.Pointer[map[string]asset]

	mu sync.Mutex // one reads
}

type asset struct {
	content    []byte
	etag, kind string
}

// newAssets reads the folder; nil when it is empty.
func newAssets(r *revision, folder fs.FS) (*assets, error) {
	files, err := readAssets(folder)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	a := &assets{rev: r, prefix: r.prefix + "/assets/"}
	a.files.Store(&files)
	return a, nil
}

func readAssets(folder fs.FS) (map[string]asset, error) {
	files := make(map[string]asset)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		kind := mime.TypeByExtension(path.Ext(name))
		if kind == "" {
			kind = http.DetectContentType(content)
		}
		sum := sha256.Sum256(content)
		files[name] = asset{content: content, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, kind: kind}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("host: assets: %w", err)
	}
	return files, nil
}

// load gives the files, from the store if they were let go.
func (a *assets) load() (map[string]asset, error) {
	if files := a.files.Load(); files != nil {
		return *files, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if files := a.files.Load(); files != nil {
		return *files, nil
	}
	stored, err := a.rev.host.store.Revision(a.rev.digest)
	if err != nil {
		return nil, err
	}
	files, err := readAssets(stored.Bundle.Assets())
	if err != nil {
		return nil, err
	}
	a.files.Store(&files)
	return files, nil
}

// drop lets the files go.
func (a *assets) drop() {
	if a != nil {
		a.files.Store(nil)
	}
}

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.rev.stat.assets.Add(1)
	files, err := a.load()
	if err != nil {
		a.rev.log.Error("assets", "error", err)
		a.rev.host.refuse(w, r, a.rev.host.ids.next(), err)
		return
	}
	f, ok := files[strings.TrimPrefix(r.URL.Path, a.prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("Etag", f.etag)
	header.Set("Cache-Control", "no-cache") // ask each time; the ETag answers without the bytes
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
