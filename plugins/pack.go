package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Pack makes the bundle of a plugin's folder: plugin.yaml, the compiled module that it names, and its folders. It does not
// build. Files and folders whose name begins with a dot are left out, .well-known excepted; a symbolic link is an error. The
// bytes depend on names and content alone, not on times, modes or the folder's place.
func Pack(dir string) (*Bundle, error) {
	m, text, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	p := &packer{dir: dir, manifest: m, limits: defaultBundleLimits, files: map[string][]byte{entryManifest: text}}
	b, err := p.pack()
	var manifest *ManifestError
	if err != nil && !errors.As(err, &manifest) {
		return nil, fmt.Errorf("plugins: pack %s: %w", dir, err)
	}
	return b, err
}

// WriteFile writes the bundle to a file, whole or not at all.
func (b *Bundle) WriteFile(file string) error {
	if err := writeAtomic(file, b.data, 0o644); err != nil {
		return fmt.Errorf("plugins: write bundle: %w", err)
	}
	return nil
}

type packer struct {
	dir      string
	root     *os.Root
	manifest *Manifest
	limits   bundleLimits
	files    map[string][]byte
	bytes    int64
}

func (p *packer) pack() (b *Bundle, err error) {
	if p.root, err = os.OpenRoot(p.dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.root.Close()) }()
	if err := p.addWasm(); err != nil {
		return nil, err
	}
	if err := p.addModules(); err != nil {
		return nil, err
	}
	if err := p.addFiles(); err != nil {
		return nil, err
	}
	for _, f := range []struct{ key, dir, to string }{
		{"assets", p.manifest.Assets, folderAssets},
		{"migrations", p.manifest.Migrations, folderMigration},
		{"schema", p.manifest.Schema, folderSchema},
	} {
		if err := p.addFolder(f.key, f.dir, f.to); err != nil {
			return nil, err
		}
	}
	return fromFiles(p.manifest, p.files, p.limits)
}

func (p *packer) addWasm() error {
	from := p.manifest.Wasm
	info, err := p.root.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return p.atKey("wasm", "%s is not there: build it with odachost build, or correct the path", from)
	}
	if err == nil && !info.Mode().IsRegular() {
		return p.atKey("wasm", "%s is a %s, not a file: name the compiled module", from, fileKind(info.Mode()))
	}
	if err == nil {
		err = p.add(from, entryWasm, p.limits.wasmBytes)
	}
	if err != nil {
		return err
	}
	if err := checkModule(p.files[entryWasm]); err != nil {
		return p.atKey("wasm", "%s %v", from, err)
	}
	return nil
}

// atKey is an error about a key of the manifest, at its line where it was written.
func (p *packer) atKey(key, format string, args ...any) error {
	at := p.manifest.explicit[key]
	return &ManifestError{File: p.manifest.file, Problems: []Problem{{at.line, at.column, key, fmt.Sprintf(format, args...)}}}
}

func (p *packer) addFolder(key, from, to string) error {
	_, explicit := p.manifest.explicit[key]
	info, err := p.root.Lstat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !explicit:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return p.atKey(key, "folder %s is not there: make it, or delete the key", from)
	case err != nil:
		return err
	case !info.IsDir():
		return p.atKey(key, "%s is not a folder: name one", from)
	}
	return fs.WalkDir(p.root.FS(), from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); name != from && strings.HasPrefix(base, ".") && base != ".well-known" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link, which a bundle cannot hold: copy the file in its place", name)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is a special file, which a bundle cannot hold: delete it", name)
		case len(p.files) >= p.limits.files-1:
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, p.limits.files)
		}
		return p.add(name, to+strings.TrimPrefix(name, from+"/"), p.limits.unpackedBytes)
	})
}

func (p *packer) add(from, to string, most int64) (err error) {
	f, err := p.root.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	most = min(most, p.limits.unpackedBytes-p.bytes)
	data, err := readLimited(f, most)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	p.bytes += int64(len(data))
	p.files[to] = data
	return nil
}

// Source is where a bundle comes from. Load may be called again, and gives what is there then.
type Source interface {
	// Load makes or reads the bundle. It does not build the plugin.
	Load(ctx context.Context) (*Bundle, error)
	// String says where, for people.
	String() string
}

// Folder is the source of a plugin's folder: [Pack].
func Folder(dir string) Source { return folder(dir) }

// File is the source of an .odac file: [OpenFile].
func File(file string) Source { return bundleFile(file) }

// FindSource is [File] for a file and [Folder] for a folder.
func FindSource(name string) (Source, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("plugins: find plugin: %w", err)
	case info.IsDir():
		return Folder(name), nil
	case filepath.Base(name) == ManifestName:
		return Folder(filepath.Dir(name)), nil
	}
	return File(name), nil
}

type folder string

// String implements [Source].
func (f folder) String() string { return "folder " + string(f) }

// Load implements [Source].
func (f folder) Load(ctx context.Context) (*Bundle, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("plugins: load %s: %w", f, err)
	}
	return Pack(string(f))
}

type bundleFile string

// String implements [Source].
func (f bundleFile) String() string { return "file " + string(f) }

// Load implements [Source].
func (f bundleFile) Load(ctx context.Context) (*Bundle, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("plugins: load %s: %w", f, err)
	}
	return OpenFile(string(f))
}
