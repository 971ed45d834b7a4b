package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/odac-run/odachost/plugins"
	"github.com/spf13/pflag"
)

// DefaultFile is read when it is there and no other file is named.
const DefaultFile = "odachost.yaml"

// Loaded is a configuration with what it came from.
type Loaded struct {
	Config
	// File is the file that was read, "" if there was none.
	File string
	// values are the effective texts by concrete path, from what layer each.
	values map[string]origin
}

type origin struct {
	raw   any
	where string
}

// AddFlags gives a command a flag for every key that has no name of the operator's in it, and --config.
func AddFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "configuration file (default "+DefaultFile+" where it exists)")
	for _, k := range Keys() {
		if !strings.Contains(k.Path, "<") {
			flags.String(k.Path, k.Default, k.Doc)
		}
	}
}

// Load reads the layers. environ is in the form of os.Environ; flags is a set of AddFlags, or nil.
func Load(environ []string, flags *pflag.FlagSet) (*Loaded, error) {
	l := &Loaded{values: make(map[string]origin)}
	keys := Keys()
	for _, k := range keys {
		if k.Default != "" {
			l.values[k.Path] = origin{k.Default, FromDefault}
		}
	}
	fileLayer, err := l.readFile(environ, flags)
	if err != nil {
		return nil, err
	}
	envLayer, err := readEnv(keys, environ)
	if err != nil {
		return nil, err
	}
	flagLayer := koanf.New(".")
	if flags != nil {
		if err := flagLayer.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
			if !f.Changed || f.Name == "config" || !slices.ContainsFunc(keys, func(k Key) bool { return k.Path == f.Name }) {
				return "", nil
			}
			return f.Name, f.Value.String()
		}), nil); err != nil {
			return nil, fmt.Errorf("config: flags: %w", err)
		}
	}
	var errs []error
	for _, layer := range []struct {
		values *koanf.Koanf
		name   func(path string) string
	}{
		{fileLayer, func(path string) string { return l.File + ": " + path }},
		{envLayer, func(path string) string { return Key{Path: path}.Env() }},
		{flagLayer, func(path string) string { return "--" + path }},
	} {
		errs = append(errs, l.apply(keys, layer.values, layer.name)...)
	}
	return l, errors.Join(errs...)
}

// apply checks one layer and puts it over what is there.
func (l *Loaded) apply(keys []Key, layer *koanf.Koanf, name func(string) string) (errs []error) {
	for _, path := range slices.Sorted(slices.Values(layer.Keys())) {
		raw := layer.Get(path)
		i := slices.IndexFunc(keys, func(k Key) bool { return k.match(path) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s: no such key%s", name(path), suggest(keys, path)))
			continue
		}
		if _, err := keys[i].parse(raw); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name(path), err))
			continue
		}
		l.values[path] = origin{raw, name(path)}
	}
	for path, o := range l.values {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.match(path) })
		if value, err := keys[i].parse(o.raw); err == nil {
			set(reflect.ValueOf(&l.Config).Elem(), strings.Split(path, "."), value)
		}
	}
	return errs
}

func (l *Loaded) readFile(environ []string, flags *pflag.FlagSet) (*koanf.Koanf, error) {
	layer := koanf.New(".")
	name, named := DefaultFile, false
	if v, ok := lookup(environ, "ODAC_CONFIG"); ok {
		name, named = v, true
	}
	if flags != nil {
		if v, err := flags.GetString("config"); err == nil && v != "" {
			name, named = v, true
		}
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !named {
		return layer, nil
	}
	if err := layer.Load(file.Provider(name), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("config file %s: %w", name, err)
	}
	l.File = name
	return layer, nil
}

func lookup(environ []string, name string) (string, bool) {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// readEnv maps ODAC_HTTP_READ_TIMEOUT to http.read_timeout. In ODAC_DATABASE_ANALYTICS_URL and ODAC_PLUGINS_BOARD_TITLE
// the name is the second word.
func readEnv(keys []Key, environ []string) (*koanf.Koanf, error) {
	var errs []error
	layer := koanf.New(".")
	values := make(map[string]any)
	provider := env.Provider(".", env.Opt{Prefix: "ODAC_", EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		if name == "ODAC_CONFIG" {
			return "", nil
		}
		path, ok := pathOf(keys, name)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no such key%s", name, suggest(keys, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "ODAC_"), "_", ".")))))
			return "", nil
		}
		values[path] = value
		return "", nil
	}})
	if err := layer.Load(provider, nil); err != nil {
		return nil, fmt.Errorf("config: environment: %w", err)
	}
	if err := layer.Load(confmap.Provider(values, "."), nil); err != nil {
		return nil, fmt.Errorf("config: environment: %w", err)
	}
	return layer, errors.Join(errs...)
}

func pathOf(keys []Key, variable string) (string, bool) {
	for _, k := range keys {
		want, got := strings.Split(k.Env(), "_"), strings.Split(variable, "_")
		if !strings.Contains(k.Path, "<") {
			if k.Env() == variable {
				return k.Path, true
			}
			continue
		}
		if len(got) < 4 || got[1] != want[1] {
			continue
		}
		section, name, rest := strings.ToLower(got[1]), strings.ToLower(got[2]), strings.Join(got[3:], "_")
		last := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
		if last == keyPart {
			return section + "." + name + "." + strings.ToLower(rest), true
		}
		if strings.EqualFold(last, strings.ReplaceAll(rest, "_", "")) || strings.EqualFold(last, rest) {
			return section + "." + name + "." + last, true
		}
	}
	return "", false
}

// suggest names the key that looks most like a wrong one.
func suggest(keys []Key, path string) string {
	best, score := "", 0
	for _, k := range keys {
		if n := alike(k.Path, path); n > score {
			best, score = k.Path, n
		}
	}
	if best == "" || score*2 < len(path) {
		return ": odachost config lists them"
	}
	return ": do you mean " + best + "?"
}

// alike is the length of the longest common subsequence, less what differs in length.
func alike(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			up := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			diagonal = up
		}
	}
	difference := len(a) - len(b)
	return row[len(b)] - max(difference, -difference)/2
}

// Effective lists every value that holds, by path, with secrets hidden and where it came from.
func (l *Loaded) Effective() []Value {
	keys := Keys()
	var out []Value
	for _, path := range sortedKeys(l.values) {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.match(path) })
		v := Value{Path: path, Text: fmt.Sprint(l.values[path].raw), From: l.values[path].where}
		if (keys[i].Secret || plugins.IsSecret(path)) && path != "tls.key" && v.Text != "" {
			v.Text = plugins.HiddenValue
		}
		out = append(out, v)
	}
	return out
}

// FromDefault is where a value comes from that nobody set.
const FromDefault = "default"

// From says where a key's value comes from: FromDefault, the file, the variable or the flag.
func (l *Loaded) From(path string) string { return l.values[path].where }

// Value is one effective setting.
type Value struct{ Path, Text, From string }

func sortedKeys(m map[string]origin) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
