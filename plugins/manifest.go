package plugins

import (
	"maps"
	"slices"
	"strings"
)

// ManifestName is the name of the manifest in a plugin's folder.
const ManifestName = "plugin.yaml"

// Defaults of [Manifest]: the paths are used where they exist.
const (
	DefaultWasm       = "plugin.wasm"
	DefaultSchema     = "schema"
	DefaultMigrations = "migration"
	DefaultAssets     = "assets"
	DefaultMountPath  = "/"
)

// Manifest is what plugin.yaml says. [ParseManifest] makes it, checked and with defaults filled in (those of limits
// excepted: they are the operator's, see [Limits.Resolve]). It is not changed afterwards.
type Manifest struct {
	// Name is the plugin's name: lower-case letters, digits and dashes, a letter first, at most 63 bytes.
	Name string
	// Version is a semantic version without "v", such as "1.4.0" or "2.0.0-rc.1".
	Version string
	// Description is one line for people.
	Description string
	// Mount is where the plugin's routes live.
	Mount Mount
	// Wasm is the compiled module, a slash-separated path below the folder of plugin.yaml.
	Wasm string
	// Build is the command that makes Wasm, run in the plugin's folder without a shell; nil is the Go build, and none for an
	// Extism plugin.
	// See [Manifest.BuildCommand].
	Build []string
	// Extism is set for a plugin made with an Extism PDK, nil for one made with this project's SDK.
	Extism *Extism
	// Capabilities is what the plugin asks for beyond core (config, random, log, time), which it always has.
	Capabilities Capabilities
	// Limits is what the plugin says about its budgets; zero fields were not set.
	Limits Limits
	// Isolation is what survives from one call to the next.
	Isolation Isolation
	// Config is the plugin's own configuration, values as written. See [Manifest.Configure].
	Config map[string]string
	// Required are the keys of config without a value, sorted: the operator has to give them.
	Required []string
	// Schema, Migrations and Assets are folders, slash-separated paths below the folder of plugin.yaml. A folder that the
	// manifest names must exist; the default one may be missing. Assets are served as they are under Mount.Path + "/assets/".
	Schema, Migrations, Assets string

	explicit map[string]position // the keys that were written, for errors about files
	file     string
}

// Mount is where a plugin's routes live.
type Mount struct {
	// Path is the prefix of the URL path: "/" or "/blog", no slash at the end.
	Path string
	// Hosts are the host names that the plugin answers, lower case, exact or "*.example.org" (any depth below, not
	// example.org itself); none is all.
	Hosts []string
}

// Isolation is what survives in an instance from one call to the next.
type Isolation string

// The isolation modes.
const (
	// IsolationFresh is the default: each call starts from the image that was taken after start-up, no byte survives.
	IsolationFresh Isolation = "fresh"
	// IsolationWarm keeps an instance's memory between calls; calls run in parallel in several instances, and an instance is
	// retired by uses, age and memory.
	IsolationWarm Isolation = "warm"
	// IsolationSingle is one instance whose memory stays and whose calls run in turn.
	IsolationSingle Isolation = "single"
)

// BuildCommand is the command that builds Wasm, to be run in the plugin's folder, and what it adds to the environment. It is nil
// for an Extism plugin that names none: its module is there.
func (m *Manifest) BuildCommand() (argv, env []string) {
	if m.Build != nil {
		return slices.Clone(m.Build), nil
	}
	if m.Extism != nil {
		return nil, nil
	}
	return []string{"go", "build", "-buildmode=c-shared", "-o", m.Wasm, "."}, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}
}

// IsSecret says whether a configuration key's value is to be hidden when it is printed: its name ends in secret, password, token
// or key, whatever the case.
func IsSecret(key string) bool {
	key = strings.ToLower(key)
	for _, end := range []string{"secret", "password", "token", "key"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

// HiddenValue is printed for a secret that has a value.
const HiddenValue = "******"

// HideSecrets is a copy of config for printing: values of secret keys are [HiddenValue].
func HideSecrets(config map[string]string) map[string]string {
	shown := maps.Clone(config)
	for key, value := range shown {
		if IsSecret(key) && value != "" {
			shown[key] = HiddenValue
		}
	}
	return shown
}
