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
	"time"
)

// assets serves a revision's static files from memory, without asking the plugin: whole, with an ETag of the
// content, no directory lists.
type assets struct {
	prefix string // of the URL path, ends in a slash
	files  map[string]asset
}

type asset struct {
	content    []byte
	etag, kind string
}

// newAssets reads the folder; nil when it is empty.
func newAssets(prefix string, folder fs.FS) (*assets, error) {
	a := &assets{prefix: prefix, files: make(map[string]asset)}
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
		a.files[name] = asset{content: content, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, kind: kind}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("host: assets: %w", err)
	}
	if len(a.files) == 0 {
		return nil, nil
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[strings.TrimPrefix(r.URL.Path, a.prefix)]
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
