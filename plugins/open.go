package plugins

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Open reads a bundle from the bytes of an .odac file, which it keeps and which must not be changed afterwards. They may come from
// anybody: counts, sizes, names and ratios are checked before memory is taken for them (at most 128MiB packed, 256MiB
// unpacked, 10,000 files). Errors are [ErrNotBundle], [ErrTruncated], [ErrDamaged], [ErrBundleVersion], [ErrTooLarge], or a
// [*ManifestError].
func Open(data []byte) (*Bundle, error) {
	return openNamed("bundle", data)
}

// OpenFile is [Open] of a file, whose name is in the errors.
func OpenFile(file string) (*Bundle, error) {
	data, err := readFileLimited(file, defaultBundleLimits.fileBytes)
	if err != nil {
		return nil, fmt.Errorf("plugins: open bundle %s: %w", file, err)
	}
	return openNamed(file, data)
}

// OpenVerified is [Open] of bytes that must have the digest want; else the error is [ErrDigest].
func OpenVerified(data []byte, want Digest) (*Bundle, error) {
	if got := DigestOf(data); got != want {
		return nil, fmt.Errorf("plugins: open bundle: %w: the bytes have %s, wanted is %s; fetch it again", ErrDigest, got, want)
	}
	return openNamed("bundle "+want.Short(), data)
}

func openNamed(name string, data []byte) (*Bundle, error) {
	b, err := openBundle(name, data, defaultBundleLimits)
	var manifest *ManifestError
	if err != nil && !errors.As(err, &manifest) {
		return nil, fmt.Errorf("plugins: open %s: %w", name, err)
	}
	return b, err
}

func readFileLimited(file string, limit int64) (data []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: is a %s, not a file", ErrNotBundle, fileKind(info.Mode()))
	case info.Size() > limit:
		return nil, fmt.Errorf("%w: has %s; at most %s is read", ErrTooLarge, FormatSize(info.Size()), FormatSize(limit))
	}
	b := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("%w: at most %s is read", ErrTooLarge, FormatSize(limit))
	}
	return b.Bytes(), nil
}

func fileKind(mode os.FileMode) string {
	if mode.IsDir() {
		return "folder"
	}
	return "special file"
}

func openBundle(name string, data []byte, limits bundleLimits) (*Bundle, error) {
	if int64(len(data)) > limits.fileBytes {
		return nil, fmt.Errorf("%w: has %s; a bundle has at most %s", ErrTooLarge, FormatSize(int64(len(data))), FormatSize(limits.fileBytes))
	}
	if err := checkStart(data); err != nil {
		return nil, err
	}
	entries, err := readEntries(data, limits)
	if err != nil {
		return nil, err
	}
	files, err := unpack(entries)
	if err != nil {
		return nil, err
	}
	if err := checkWasm(files); err != nil {
		return nil, err
	}
	text, ok := files[entryManifest]
	if !ok {
		return nil, fmt.Errorf("%w: has no %s; pack the plugin again with odachost build", ErrNotBundle, entryManifest)
	}
	manifest, err := ParseManifest(name+":"+entryManifest, text)
	if err != nil {
		return nil, err
	}
	return newBundle(data, manifest, files)
}

// checkStart looks at the first entry, whose place and form are the same in every version of the format.
func checkStart(data []byte) error {
	const fixed = 30 // a local file header without the name
	start := data[:min(len(data), fixed+len(entryMarker))]
	switch {
	case len(data) == 0:
		return fmt.Errorf("%w: is empty", ErrTruncated)
	case bytes.HasPrefix(data, wasmMagic):
		return fmt.Errorf("%w: is a WebAssembly module; pack it with odachost build", ErrNotBundle)
	case !bytes.HasPrefix([]byte("PK\x03\x04"), start[:min(4, len(start))]):
		return fmt.Errorf("%w: does not begin like an %s file", ErrNotBundle, BundleExt)
	case len(start) < fixed+len(entryMarker):
		return fmt.Errorf("%w: ends after %d bytes; copy it again", ErrTruncated, len(data))
	case string(start[fixed:]) != entryMarker, binary.LittleEndian.Uint16(data[28:]) != 0:
		return fmt.Errorf("%w: is a zip file without %s as its first entry; pack the plugin with odachost build", ErrNotBundle, entryMarker)
	}
	rest := data[len(start):]
	text, _, found := strings.Cut(string(rest[:min(20, len(rest))]), "\n")
	if !found && len(rest) < 20 {
		return fmt.Errorf("%w: ends after %d bytes; copy it again", ErrTruncated, len(data))
	}
	version, err := strconv.ParseUint(text, 10, 31)
	switch {
	case !found || err != nil || version == 0:
		return fmt.Errorf("%w: its first entry does not give the format's version", ErrNotBundle)
	case version > BundleVersion:
		return fmt.Errorf("%w: it has format %d, this host reads up to %d; update odachost or pack the plugin with an older one", ErrBundleVersion, version, BundleVersion)
	}
	return nil
}

// readEntries finds the entries without unpacking them, and makes sure that they are all there is.
func readEntries(data []byte, limits bundleLimits) ([]entry, error) {
	count, ok := endRecord(data)
	if !ok {
		return nil, fmt.Errorf("%w: its end is missing, or something follows it; copy it again", ErrTruncated)
	}
	if count > limits.files {
		return nil, fmt.Errorf("%w: %d files; a bundle has at most %d", ErrTooLarge, count, limits.files)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are checked below
		return nil, fmt.Errorf("%w: its table of contents cannot be read: %w", ErrDamaged, err)
	}
	if len(z.File) != count || count == 0 || z.File[0].Name != entryMarker {
		return nil, fmt.Errorf("%w: its table of contents does not fit", ErrDamaged)
	}
	entries := make([]entry, count)
	for i, f := range z.File {
		if entries[i], err = locate(f, data); err != nil {
			return nil, err
		}
	}
	if m := entries[0]; m.method != zip.Store || m.size > 12 {
		return nil, fmt.Errorf("%w: its first entry holds more than the format's version", ErrNotBundle)
	}
	if err := limits.checkNames(entries[1:]); err != nil {
		return nil, fmt.Errorf("%w: entry %w", ErrNotBundle, err)
	}
	if err := limits.check(entries); err != nil {
		return nil, err
	}
	again, err := assemble(entries)
	if err != nil || !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: another tool wrote or changed it; pack the plugin with odachost build", ErrNotBundle)
	}
	return entries, nil
}

// locate finds one entry's packed bytes. Overlapping entries are no danger: they do not assemble to the same file.
func locate(f *zip.File, data []byte) (entry, error) {
	if f.Method != zip.Store && f.Method != zip.Deflate {
		return entry{}, fmt.Errorf("%w: entry %q is packed by method %d", ErrNotBundle, f.Name, f.Method)
	}
	if !f.Mode().IsRegular() {
		return entry{}, fmt.Errorf("%w: entry %q is a folder, a link or a special file", ErrNotBundle, f.Name)
	}
	offset, err := f.DataOffset()
	if err != nil {
		return entry{}, fmt.Errorf("%w: entry %q cannot be read: %w", ErrDamaged, f.Name, err)
	}
	size := uint64(len(data))
	if offset < 0 || uint64(offset) > size || f.CompressedSize64 > size-uint64(offset) || f.UncompressedSize64 > 1<<40 {
		return entry{}, fmt.Errorf("%w: entry %q lies outside the file", ErrDamaged, f.Name)
	}
	return entry{
		name: f.Name, method: f.Method, crc: f.CRC32, size: int64(f.UncompressedSize64),
		packed: data[offset : offset+int64(f.CompressedSize64)],
	}, nil
}

// unpack gives the files by name, without the marker.
func unpack(entries []entry) (map[string][]byte, error) {
	files := make(map[string][]byte, len(entries))
	for _, e := range entries[1:] {
		data, err := e.unpack()
		if err != nil {
			return nil, fmt.Errorf("%w: entry %q: %w; copy the bundle again", ErrDamaged, e.name, err)
		}
		files[e.name] = data
	}
	return files, nil
}

var (
	wasmMagic     = []byte("\x00asm")
	wasmModule    = []byte("\x00asm\x01\x00\x00\x00")
	wasmComponent = []byte("\x00asm\x0d\x00\x01\x00")
)

func checkWasm(files map[string][]byte) error {
	wasm, ok := files[entryWasm]
	if !ok {
		return fmt.Errorf("%w: has no %s; pack the plugin again with odachost build", ErrNotBundle, entryWasm)
	}
	if err := checkModule(wasm); err != nil {
		return fmt.Errorf("%w: %s %w", ErrNotBundle, entryWasm, err)
	}
	return nil
}

// checkModule is the end of a sentence about a file.
func checkModule(wasm []byte) error {
	switch {
	case bytes.HasPrefix(wasm, wasmModule):
		return nil
	case bytes.HasPrefix(wasm, wasmComponent):
		return errors.New("is a WebAssembly component: build a core module (wasip1)")
	case bytes.HasPrefix(wasm, wasmMagic):
		return errors.New("is WebAssembly of a version that is not 1, or cut off: build it again")
	}
	return errors.New("is not WebAssembly, which begins with \\0asm: build it for wasm")
}
