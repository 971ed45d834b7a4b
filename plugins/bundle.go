package plugins

import (
	"io/fs"
)

// Bundle is a plugin in one piece: manifest, module, schema, migrations, assets. It is made by [Pack], [Open] or [OpenFile], holds
// the whole file and its unpacked content in memory, and is not changed afterwards. A host that has compiled the module keeps
// the folders it serves and lets go of the rest.
type Bundle struct {
	digest       Digest
	data         []byte // the .odac file
	manifest     *Manifest
	manifestText []byte
	wasm         []byte
	modules      []Module
	files        []Files
	schema       memFS
	migrations   memFS
	assets       memFS
}

// Digest is the digest of the .odac file's bytes.
func (b *Bundle) Digest() Digest { return b.digest }

// Bytes are the .odac file. They must not be changed.
func (b *Bundle) Bytes() []byte { return b.data }

// Manifest is the plugin's manifest.
func (b *Bundle) Manifest() *Manifest { return b.manifest }

// ManifestText is the plugin.yaml from which the manifest was read. It must not be changed.
func (b *Bundle) ManifestText() []byte { return b.manifestText }

// Wasm is the compiled module: it starts as a core WebAssembly module does, and nothing else was checked. It must not be changed.
func (b *Bundle) Wasm() []byte { return b.wasm }

// Schema is the folder of schema files, empty when there are none. The files of a bundle can be sought in, have mode 0444 and no
// time.
func (b *Bundle) Schema() fs.FS { return b.schema }

// Migrations is the folder of migration files, empty when there are none.
func (b *Bundle) Migrations() fs.FS { return b.migrations }

// Assets is the folder of files to serve, empty when there are none.
func (b *Bundle) Assets() fs.FS { return b.assets }
