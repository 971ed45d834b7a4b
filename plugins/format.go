package plugins

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	inflate "github.com/klauspost/compress/flate" // reads in half of the time; what is written is the digest's, and so always package flate's
)

// The format of an .odac file, version 1: a zip archive of exactly these entries, in this order.
//
//	odac-bundle        the format's version and a newline, stored; so the file begins with a fixed text
//	assets/...         files to serve
//	files/PATH/...     files that the plugin may read at /PATH
//	migration/...      migration files
//	modules/NAME.wasm  linked modules
//	plugin.wasm        the module
//	plugin.yaml        the manifest, byte for byte
//	schema/...         table definitions
//
// Everything after the first entry is sorted by name. An entry is deflated where that makes it smaller, else stored. Times are
// 1980-01-01, modes 0644, and there are no folders, extra fields, comments, data descriptors or zip64 records. A reader can
// therefore demand that writing the entries again gives the very bytes it read: nothing hides between them.
const (
	// BundleVersion is the newest version of the format that this package reads, and the one that it writes.
	BundleVersion = 1
	// BundleExt ends the name of a bundle's file.
	BundleExt = ".odac"

	entryMarker     = "odac-bundle"
	entryManifest   = ManifestName
	entryWasm       = "plugin.wasm"
	folderAssets    = "assets/"
	folderFiles     = "files/"
	folderMigration = "migration/"
	folderModules   = "modules/"
	folderSchema    = "schema/"
)

// bundleLimits bound a bundle before memory is taken for it.
type bundleLimits struct {
	fileBytes     int64 // the .odac file
	unpackedBytes int64 // all entries together
	wasmBytes     int64
	files         int
	nameBytes     int
	ratio         int64 // unpacked to packed, from ratioFrom unpacked bytes on
	ratioFrom     int64
}

var defaultBundleLimits = bundleLimits{
	fileBytes: 128 << 20, unpackedBytes: 256 << 20, wasmBytes: 128 << 20,
	files: 10_000, nameBytes: 255, ratio: 200, ratioFrom: 4 << 20,
}

// entry is one file of a bundle, packed.
type entry struct {
	name   string
	method uint16
	crc    uint32
	size   int64
	packed []byte
}

func newEntry(name string, data []byte) (entry, error) {
	e := entry{name: name, method: zip.Store, crc: crc32.ChecksumIEEE(data), size: int64(len(data)), packed: data}
	if name == entryMarker {
		return e, nil
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return entry{}, err
	}
	if _, err := w.Write(data); err != nil {
		return entry{}, err
	}
	if err := w.Close(); err != nil {
		return entry{}, err
	}
	if b.Len() < len(data) {
		e.method, e.packed = zip.Deflate, b.Bytes()
	}
	return e, nil
}

// check holds the entries, marker first, against the limits.
func (l bundleLimits) check(entries []entry) error {
	var packed, unpacked int64
	if len(entries) > l.files {
		return fmt.Errorf("%w: %d files; a bundle has at most %d", ErrTooLarge, len(entries), l.files)
	}
	for _, e := range entries {
		most := l.unpackedBytes
		switch e.name {
		case entryWasm:
			most = l.wasmBytes
		case entryManifest:
			most = maxManifestBytes
		}
		// Each is compared before it is added, so that the sum cannot overflow.
		if e.size < 0 || e.size > most {
			return fmt.Errorf("%w: %s unpacks to more than %s", ErrTooLarge, e.name, FormatSize(most))
		}
		packed += int64(len(e.packed))
		if unpacked += e.size; unpacked > l.unpackedBytes {
			return fmt.Errorf("%w: the files unpack to more than %s", ErrTooLarge, FormatSize(l.unpackedBytes))
		}
	}
	if unpacked > l.ratioFrom && unpacked/l.ratio > packed {
		return fmt.Errorf("%w: the files unpack to more than %d times what they are packed, as a zip bomb's do", ErrTooLarge, l.ratio)
	}
	if packed > l.fileBytes {
		return fmt.Errorf("%w: a bundle has at most %s", ErrTooLarge, FormatSize(l.fileBytes))
	}
	return nil
}

// checkNames holds the names of all entries after the marker against the format.
func (l bundleLimits) checkNames(entries []entry) error {
	files := make(map[string]bool, len(entries))
	for i, e := range entries {
		if err := l.checkName(e.name); err != nil {
			return err
		}
		switch {
		case files[e.name]:
			return fmt.Errorf("%q is there twice", e.name)
		case i > 0 && entries[i-1].name > e.name:
			return fmt.Errorf("%q is not in its place: entries are sorted", e.name)
		}
		files[e.name] = true
	}
	for _, e := range entries {
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			if files[dir] {
				return fmt.Errorf("%q is a file and a folder", dir)
			}
		}
	}
	return nil
}

func (l bundleLimits) checkName(name string) error {
	if len(name) > l.nameBytes {
		return fmt.Errorf("%.40q... is longer than %d bytes", name, l.nameBytes)
	}
	switch {
	case strings.ContainsRune(name, '\\'):
		return fmt.Errorf("%q has a backslash", name)
	case path.IsAbs(name), !fs.ValidPath(name): // valid paths are UTF-8 and have no ".." or empty part
		return fmt.Errorf("%q is not a relative path, or has a part that is .. or empty", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' }):
		return fmt.Errorf("%q has a control character or a colon", name)
	case name == entryManifest, name == entryWasm:
		return nil
	}
	for _, folder := range []string{folderAssets, folderFiles, folderMigration, folderModules, folderSchema} {
		if strings.HasPrefix(name, folder) {
			return nil
		}
	}
	return fmt.Errorf("%q is neither %s nor %s, nor below %s, %s, %s, %s or %s", name, entryManifest, entryWasm, folderAssets, folderFiles, folderMigration, folderModules, folderSchema)
}

// assemble writes the entries, in their order, as the file.
func assemble(entries []entry) ([]byte, error) {
	size := endRecordBytes
	for _, e := range entries {
		size += 30 + 46 + 2*len(e.name) + len(e.packed)
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	w := zip.NewWriter(b)
	for _, e := range entries {
		h := &zip.FileHeader{
			Name: e.name, Method: e.method, CRC32: e.crc, ReaderVersion: 20,
			CompressedSize64: uint64(len(e.packed)), UncompressedSize64: uint64(e.size),
			ModifiedDate: 1<<5 | 1, // 1980-01-01; the field is what goes into the file
		}
		h.SetMode(0o644)
		h.CreatorVersion |= 20
		if strings.ContainsFunc(e.name, func(r rune) bool { return r > 0x7e }) {
			h.Flags = 0x800 // the name is UTF-8
		}
		raw, err := w.CreateRaw(h)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
		if _, err := raw.Write(e.packed); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// endRecordBytes is the length of a zip file's end record without a comment.
const endRecordBytes = 22

// endRecord gives the number of entries that the end of the file announces.
func endRecord(data []byte) (int, bool) {
	if len(data) < endRecordBytes {
		return 0, false
	}
	end := data[len(data)-endRecordBytes:]
	if !bytes.HasPrefix(end, []byte("PK\x05\x06")) {
		return 0, false
	}
	return int(binary.LittleEndian.Uint16(end[10:])), true
}

// fromFiles makes the bundle of a manifest's bytes and the files by their names in the archive.
func fromFiles(manifest *Manifest, files map[string][]byte, limits bundleLimits) (*Bundle, error) {
	names := make([]string, 0, len(files))
	var total int64
	for name, data := range files {
		names = append(names, name)
		total += int64(len(data))
	}
	if total > limits.unpackedBytes {
		return nil, fmt.Errorf("%w: the files have %s together; a bundle unpacks to at most %s", ErrTooLarge, FormatSize(total), FormatSize(limits.unpackedBytes))
	}
	slices.Sort(names)
	marker, err := newEntry(entryMarker, fmt.Appendf(nil, "%d\n", BundleVersion))
	if err != nil {
		return nil, err
	}
	entries := []entry{marker}
	for _, name := range names {
		e, err := newEntry(name, files[name])
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if err := limits.checkNames(entries[1:]); err != nil {
		return nil, err
	}
	if err := limits.check(entries); err != nil {
		return nil, err
	}
	data, err := assemble(entries)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limits.fileBytes {
		return nil, fmt.Errorf("%w: the bundle has %s; it may have %s", ErrTooLarge, FormatSize(int64(len(data))), FormatSize(limits.fileBytes))
	}
	return newBundle(data, manifest, files)
}

func newBundle(data []byte, manifest *Manifest, files map[string][]byte) (*Bundle, error) {
	if err := checkModules(manifest, files); err != nil {
		return nil, err
	}
	var modules []Module
	if manifest.Extism != nil {
		for _, m := range manifest.Extism.Modules {
			modules = append(modules, Module{Name: m.Name, Wasm: files[folderModules+m.Name+".wasm"]})
		}
	}
	below := func(folder string) memFS {
		sub := map[string][]byte{}
		for name, data := range files {
			if rest, ok := strings.CutPrefix(name, folder); ok {
				sub[rest] = data
			}
		}
		return newMemFS(sub)
	}
	var mounts []Files
	if manifest.Extism != nil {
		for _, f := range manifest.Extism.Files {
			mounts = append(mounts, Files{Path: f.Path, FS: below(f.folder())})
		}
	}
	return &Bundle{
		digest: DigestOf(data), data: data, manifest: manifest, manifestText: files[entryManifest], wasm: files[entryWasm],
		modules: modules, files: mounts,
		schema: below(folderSchema), migrations: below(folderMigration), assets: below(folderAssets),
	}, nil
}

// unpack gives the entry's content. Its size was checked, and nothing beyond it is read.
func (e entry) unpack() ([]byte, error) {
	data := e.packed
	if e.method == zip.Deflate {
		packed := bytes.NewReader(e.packed)
		r := inflate.NewReader(packed)
		data = make([]byte, e.size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, fmt.Errorf("cannot be unpacked: %w", err)
		}
		var more [1]byte
		if n, err := r.Read(more[:]); n != 0 || err != io.EOF || packed.Len() != 0 {
			return nil, errors.New("is not as long as it should be")
		}
	}
	if int64(len(data)) != e.size {
		return nil, errors.New("is not as long as it should be")
	}
	if crc32.ChecksumIEEE(data) != e.crc {
		return nil, errors.New("has another checksum than it should")
	}
	return data, nil
}
