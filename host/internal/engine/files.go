package engine

import (
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"

	"github.com/tetratelabs/wazero"
)

// Files is a file system that a guest finds at a path, to read from.
type Files struct {
	// Path is absolute in the guest, such as "/data".
	Path string
	// FS must hold what it gives in memory: a guest that waits for a disk could not be stopped.
	FS fs.FS
}

// maxOpenFiles is how many files and folders the modules of one instance may have open in each of [Files].
const maxOpenFiles = 256

// withFiles gives a module the program's files.
func (p *Program) withFiles(config wazero.ModuleConfig) wazero.ModuleConfig {
	if len(p.cfg.Files) == 0 {
		return config
	}
	mounts := wazero.NewFSConfig()
	for _, f := range p.cfg.Files {
		mounts = mounts.WithFSMount(&boundedFS{FS: f.FS}, f.Path)
	}
	return config.WithFSConfig(mounts)
}

// boundedFS counts what is open.
type boundedFS struct {
	fs.FS
	open atomic.Int32
}

// Open implements fs.FS.
func (b *boundedFS) Open(name string) (fs.File, error) {
	if b.open.Add(1) > maxOpenFiles {
		b.open.Add(-1)
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	f, err := b.FS.Open(name)
	if err != nil {
		b.open.Add(-1)
		return nil, err
	}
	if d, ok := f.(fs.ReadDirFile); ok {
		return &boundedDir{ReadDirFile: d, fs: b}, nil
	}
	return &boundedFile{File: f, fs: b}, nil
}

type boundedFile struct {
	fs.File
	fs     *boundedFS
	closed atomic.Bool
}

// Close implements fs.File.
func (f *boundedFile) Close() error {
	if !f.closed.Swap(true) {
		f.fs.open.Add(-1)
	}
	return f.File.Close()
}

// Seek implements io.Seeker.
func (f *boundedFile) Seek(offset int64, whence int) (int64, error) {
	if s, ok := f.File.(io.Seeker); ok {
		return s.Seek(offset, whence)
	}
	return 0, syscall.ESPIPE
}

// ReadAt implements io.ReaderAt.
func (f *boundedFile) ReadAt(p []byte, off int64) (int, error) {
	if r, ok := f.File.(io.ReaderAt); ok {
		return r.ReadAt(p, off)
	}
	return 0, syscall.ESPIPE
}

type boundedDir struct {
	fs.ReadDirFile
	fs     *boundedFS
	closed atomic.Bool
}

// Close implements fs.File.
func (d *boundedDir) Close() error {
	if !d.closed.Swap(true) {
		d.fs.open.Add(-1)
	}
	return d.ReadDirFile.Close()
}
