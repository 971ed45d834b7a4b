package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Extism says that the module was made with one of Extism's PDKs, and how it is used.
type Extism struct {
	// Routes are the exports that answer requests.
	Routes []ExtismRoute
	// Modules are linked in this order: each may import from those before it, the main module from all.
	Modules []ExtismModule
	// Hash is the SHA-256 of the main module in lower-case hexadecimal digits; "" is any.
	Hash string
	// Files are the folders that the plugin may read.
	Files []ExtismFiles
	// Log is the least severe level that the plugin's log lines are taken at: trace, debug, info, warn, error or off.
	Log string
}

// ExtismRoute is an export that answers requests: the body is its input, its output the body of the response.
type ExtismRoute struct {
	// Path is a pattern of net/http.ServeMux below the mount, without method and host.
	Path string
	// Method is one HTTP method; "" is every one.
	Method string
	// Export is the function's name.
	Export string
	// Type is the response's Content-Type; "" is found out from its bytes.
	Type string
}

// ExtismModule is a module that others import from.
type ExtismModule struct {
	// Name is what they import it by.
	Name string
	// Wasm is the compiled module, a slash-separated path below the folder of plugin.yaml.
	Wasm string
	// Hash is like [Extism.Hash].
	Hash string
}

// ExtismFiles is a folder that the plugin may read.
type ExtismFiles struct {
	// Path is where the plugin finds it, such as /data.
	Path string
	// Folder is a slash-separated path below the folder of plugin.yaml.
	Folder string
}

// folder is its place in a bundle.
func (f ExtismFiles) folder() string { return folderFiles + strings.TrimPrefix(f.Path, "/") + "/" }

// Files is a file system of a bundle, held in memory, that the plugin finds at a path.
type Files struct {
	Path string
	FS   fs.FS
}

// Module is a linked module of a bundle.
type Module struct {
	Name string
	Wasm []byte
}

// extismLevels are in the order of severity.
var extismLevels = []string{"trace", "debug", "info", "warn", "error", "off"}

func extismFields(x *Extism) []field {
	hash := func(to *string) field {
		return field{key: "hash", doc: "SHA-256 of the module, in hexadecimal digits.", schema: textSchema("^[0-9a-f]{64}$"), read: set(to, checkHash)}
	}
	var route ExtismRoute
	routeFields := []field{
		{key: "path", doc: "Pattern of net/http below the mount, such as /count or /items/{id}.", schema: textSchema("^/"), read: set(&route.Path, checkPattern)},
		{key: "method", doc: "HTTP method. Default: all.", schema: textSchema("^[A-Z]+$"), read: set(&route.Method, checkMethod)},
		{key: "export", doc: "The function that answers. The body is its input, its output the answer.", schema: textSchema(""), read: set(&route.Export, checkExport)},
		{key: "type", doc: "Content-Type of the answer. Default: found out from its bytes.", schema: textSchema(""), read: set(&route.Type, checkContentType)},
	}
	var module ExtismModule
	moduleFields := []field{
		{key: "name", doc: "What other modules import it by.", schema: textSchema(""), read: set(&module.Name, checkModuleName)},
		{key: "wasm", doc: "The compiled module.", schema: textSchema(""), read: set(&module.Wasm, checkPath)},
		hash(&module.Hash),
	}
	return []field{
		hash(&x.Hash),
		{key: "log", doc: "Least severe level of log lines that are taken. Default debug.", schema: map[string]any{"enum": extismLevels}, read: set(&x.Log, checkLogLevel)},
		{
			key: "files", doc: "Folders that the plugin may read, by the path at which it finds them, such as {/data: data}.",
			schema: map[string]any{"type": "object", "additionalProperties": textSchema("")},
			read:   func(d *decoder, v value) { x.Files = d.files(v) },
		},
		{key: "routes", doc: "Exports that answer requests.", schema: listOf(routeFields), read: func(d *decoder, v value) {
			for _, item := range d.list(v) {
				route = ExtismRoute{}
				if d.item(item, routeFields, "path", "export") {
					x.Routes = append(x.Routes, route)
				}
			}
		}},
		{key: "modules", doc: "Modules that are linked, each to those after it and to the main one.", schema: listOf(moduleFields), read: func(d *decoder, v value) {
			for _, item := range d.list(v) {
				module = ExtismModule{}
				if !d.item(item, moduleFields, "name", "wasm") {
					continue
				}
				if slices.ContainsFunc(x.Modules, func(m ExtismModule) bool { return m.Name == module.Name }) {
					d.wrong(item, "there are two modules named %s: rename one", module.Name)
				}
				x.Modules = append(x.Modules, module)
			}
		}},
	}
}

func readExtism(m *Manifest) (fields []field, read func(*decoder, value)) {
	x := &Extism{Log: "debug"}
	fields = extismFields(x)
	return fields, func(d *decoder, v value) {
		if d.onOff(v, fields) {
			m.Extism = x
		}
	}
}

// files reads folders by the paths at which a plugin finds them.
func (d *decoder) files(v value) (files []ExtismFiles) {
	for _, e := range d.entries(v) {
		if err := checkMountPath(e.name); err != nil || e.name == "/" {
			d.problem(e.at, e.key, "is not a path below the root, without special letters: write one such as /data")
			continue
		}
		if slices.ContainsFunc(files, func(f ExtismFiles) bool {
			return strings.HasPrefix(f.Path+"/", e.name+"/") || strings.HasPrefix(e.name+"/", f.Path+"/")
		}) {
			d.problem(e.at, e.key, "lies within another path: choose one beside it")
			continue
		}
		f := ExtismFiles{Path: e.name}
		if set(&f.Folder, checkPath)(d, e); f.Folder != "" {
			files = append(files, f)
		}
	}
	return files
}

// listOf is the schema of a list of mappings.
func listOf(fields []field) map[string]any {
	return map[string]any{"type": "array", "items": objectSchema(fields)}
}

// item reads a mapping in a list, in which keys must be there.
func (d *decoder) item(v value, fields []field, keys ...string) bool {
	n := len(d.problems)
	if !isMapping(v) {
		d.wrong(v, "is %s: write {%s: ...}", kindOf(v.node), strings.Join(keys, ": ..., "))
		return false
	}
	d.fields(v, fields)
	for _, key := range keys {
		if _, ok := d.seen[v.key+"."+key]; !ok && len(d.problems) == n {
			d.wrong(v, "lacks %s: write {%s: ...}", key, strings.Join(keys, ": ..., "))
		}
	}
	return len(d.problems) == n
}

func checkHash(s string) error {
	if len(s) != 2*sha256.Size || strings.Trim(s, "0123456789abcdef") != "" {
		return errors.New("is not a SHA-256 in 64 lower-case hexadecimal digits: write what sha256sum prints")
	}
	return nil
}

func checkLogLevel(s string) error {
	if !slices.Contains(extismLevels, s) {
		return fmt.Errorf("unknown level %q; %s", s, suggest(s, extismLevels))
	}
	return nil
}

func checkPattern(s string) error {
	if !strings.HasPrefix(s, "/") || len(s) > 4096 {
		return fmt.Errorf("%.100q: a pattern starts with a slash, such as /posts/{id}", s)
	}
	return nil
}

func checkMethod(s string) error {
	if !httpguts.ValidHeaderFieldName(s) || strings.ToUpper(s) != s || s == http.MethodConnect {
		return fmt.Errorf("%q is not an HTTP method: write one such as POST", s)
	}
	return nil
}

func checkExport(s string) error {
	if s == "" || len(s) > 255 {
		return errors.New("is no function's name: write the name of an export")
	}
	return nil
}

func checkContentType(s string) error {
	if !strings.Contains(s, "/") || !httpguts.ValidHeaderFieldValue(s) {
		return fmt.Errorf("%q is not a content type: write one such as application/json", s)
	}
	return nil
}

func checkModuleName(s string) error {
	if checkConfigKey(s) != nil || s[0] == '.' || s == "main" {
		return fmt.Errorf("%q is not a module's name: use letters, digits, - . and _, and not main", s)
	}
	return nil
}

// addModules reads the linked modules of a folder.
func (p *packer) addModules() error {
	if p.manifest.Extism == nil {
		return nil
	}
	for i, m := range p.manifest.Extism.Modules {
		to := folderModules + m.Name + ".wasm"
		err := p.add(m.Wasm, to, p.limits.wasmBytes)
		if err == nil {
			err = checkModule(p.files[to])
		}
		if err != nil {
			return p.atKey(fmt.Sprintf("extism.modules[%d].wasm", i), "%s: %v", m.Wasm, err)
		}
	}
	return nil
}

// addFiles reads the folders that the plugin may read.
func (p *packer) addFiles() error {
	if p.manifest.Extism == nil {
		return nil
	}
	for _, f := range p.manifest.Extism.Files {
		info, err := p.root.Lstat(f.Folder)
		if err != nil || !info.IsDir() {
			return p.atKey("extism.files", "%s is not a folder: make it, or delete the path", f.Folder)
		}
		if err := p.addFolder("extism.files", f.Folder, f.folder()); err != nil {
			return err
		}
	}
	return nil
}

// checkModules says whether the modules that a manifest names are there, no others are, and their hashes are the manifest's.
func checkModules(m *Manifest, files map[string][]byte) error {
	var x Extism
	if m.Extism != nil {
		x = *m.Extism
	}
	if err := checkSum("the module", x.Hash, files[entryWasm]); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, module := range x.Modules {
		name := folderModules + module.Name + ".wasm"
		known[name] = true
		wasm, ok := files[name]
		if !ok {
			return fmt.Errorf("%w: has no %s, which its %s names", ErrNotBundle, name, ManifestName)
		}
		if err := checkModule(wasm); err != nil {
			return fmt.Errorf("%w: %s %w", ErrNotBundle, name, err)
		}
		if err := checkSum("module "+module.Name, module.Hash, wasm); err != nil {
			return err
		}
	}
	for name := range files {
		if strings.HasPrefix(name, folderModules) && !known[name] || strings.HasPrefix(name, folderFiles) &&
			!slices.ContainsFunc(x.Files, func(f ExtismFiles) bool { return strings.HasPrefix(name, f.folder()) }) {
			return fmt.Errorf("%w: has %s, which its %s does not name", ErrNotBundle, name, ManifestName)
		}
	}
	return nil
}

func checkSum(what, want string, wasm []byte) error {
	if want == "" {
		return nil
	}
	if sum := sha256.Sum256(wasm); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%w: %s has the hash %x, its %s says %s; take the module that was meant, or correct the hash", ErrDigest, what, sum, ManifestName, want)
	}
	return nil
}

// Files are what the plugin may read, none for most.
func (b *Bundle) Files() []Files { return b.files }

// Modules are the linked modules of a bundle, in their order. They must not be changed.
func (b *Bundle) Modules() []Module { return b.modules }
