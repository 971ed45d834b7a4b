package plugins

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// memFS is a read-only file system in memory: [fs.FS], [fs.ReadFileFS], [fs.ReadDirFS] and [fs.StatFS], whose files are
// [io.ReadSeeker] and [io.ReaderAt], as http.FileServerFS needs.
type memFS map[string]*memNode

// memNode is a file, or a folder with the base names of what is in it, sorted.
type memNode struct {
	name    string
	data    []byte
	dir     bool
	entries []*memNode
}

// newMemFS takes files by slash-separated path. A name that is a file and a folder at once is the caller's to refuse.
func newMemFS(files map[string][]byte) memFS {
	m := memFS{".": {name: ".", dir: true}}
	for name, data := range files {
		n := &memNode{name: path.Base(name), data: data}
		m[name] = n
		for {
			dir := path.Dir(name)
			parent, known := m[dir]
			if !known {
				parent = &memNode{name: path.Base(dir), dir: true}
				m[dir] = parent
			}
			parent.entries = append(parent.entries, n)
			if known {
				break
			}
			name, n = dir, parent
		}
	}
	for _, n := range m {
		slices.SortFunc(n.entries, func(a, b *memNode) int { return strings.Compare(a.name, b.name) })
	}
	return m
}

func (m memFS) find(op, name string) (*memNode, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if n, ok := m[name]; ok {
		return n, nil
	}
	if name == "." {
		return &memNode{name: ".", dir: true}, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Open implements [fs.FS].
func (m memFS) Open(name string) (fs.File, error) {
	n, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return &memDir{node: n}, nil
	}
	return &memFile{node: n, Reader: bytes.NewReader(n.data)}, nil
}

// Stat implements [fs.StatFS].
func (m memFS) Stat(name string) (fs.FileInfo, error) {
	n, err := m.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadFile implements [fs.ReadFileFS]. The bytes are the caller's.
func (m memFS) ReadFile(name string) ([]byte, error) {
	n, err := m.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return bytes.Clone(n.data), nil
}

// ReadDir implements [fs.ReadDirFS].
func (m memFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := m.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	return dirEntries(n.entries), nil
}

func dirEntries(nodes []*memNode) []fs.DirEntry {
	entries := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		entries[i] = fs.FileInfoToDirEntry(n)
	}
	return entries
}

// Name implements [fs.FileInfo].
func (n *memNode) Name() string { return n.name }

// Size implements [fs.FileInfo].
func (n *memNode) Size() int64 { return int64(len(n.data)) }

// ModTime implements [fs.FileInfo]: there is none, so that servers send no Last-Modified.
func (n *memNode) ModTime() time.Time { return time.Time{} }

// IsDir implements [fs.FileInfo].
func (n *memNode) IsDir() bool { return n.dir }

// Sys implements [fs.FileInfo].
func (n *memNode) Sys() any { return nil }

// Mode implements [fs.FileInfo].
func (n *memNode) Mode() fs.FileMode {
	if n.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type memFile struct {
	*bytes.Reader
	node *memNode
}

// Stat implements [fs.File].
func (f *memFile) Stat() (fs.FileInfo, error) { return f.node, nil }

// Close implements [fs.File].
func (f *memFile) Close() error { return nil }

type memDir struct {
	node *memNode
	next int
}

// Stat implements [fs.File].
func (d *memDir) Stat() (fs.FileInfo, error) { return d.node, nil }

// Close implements [fs.File].
func (d *memDir) Close() error { return nil }

// Read implements [fs.File].
func (d *memDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: errIsDir}
}

// ReadDir implements [fs.ReadDirFile].
func (d *memDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.entries[d.next:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	d.next += len(rest)
	return dirEntries(rest), nil
}
