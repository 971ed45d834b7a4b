package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/odac-run/odachost/plugins"
)

// Loaded is a configuration with what it came from.
type Loaded struct {
	Config
	// File is the file that was read, "" if there was none.
	File string

	values map[string]origin // by concrete path
}

type origin struct {
	raw   any
	where string
}

// FromDefault is where a value comes from that nobody set.
const FromDefault = "default"

// AddFlags gives a command --config and a flag for every key that has no name of the operator's in it. Help shows those
// that are named in show.
func AddFlags(flags *pflag.FlagSet, show ...string) {
	flags.String("config", "", "configuration file (default "+DefaultFile+" where it exists)")
	for _, k := range Keys() {
		if k.Named() {
			continue
		}
		flags.String(k.Path, "", k.Doc)
		flags.Lookup(k.Path).DefValue = k.Default
		flags.Lookup(k.Path).Hidden = !slices.Contains(show, k.Path)
	}
}

// layer is one place where values are written.
type layer struct {
	values *koanf.Koanf
	name   func(path string) string // how the place writes a path
	where  func(path string) string // the place, for [Value]
	lines  map[string]int           // of the paths, where the place has lines
}

// Load reads the layers. environ is in the form of os.Environ; flags is a set of AddFlags, or nil. The error joins all
// that is wrong.
func Load(environ []string, flags *pflag.FlagSet) (*Loaded, error) {
	l := &Loaded{values: make(map[string]origin)}
	keys := Keys()
	for _, k := range keys {
		if k.Default != "" {
			l.values[k.Path] = origin{k.Default, FromDefault}
		}
	}
	name, named := fileName(environ, flags)
	inFile, d, err := readFile(name, named)
	if err != nil {
		return nil, err
	}
	layers := make([]layer, 0, 3)
	if d != nil {
		l.File = name
		layers = append(layers, layer{inFile, func(path string) string { return path }, d.where, d.lines})
	}
	inEnv, err := readEnv(keys, environ)
	errs := []error{err}
	if inEnv != nil {
		layers = append(layers, layer{inEnv, variable, variable, nil})
	}
	inFlags := koanf.New(".")
	if flags != nil {
		if err := inFlags.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
			if _, known := find(keys, f.Name); !known || !f.Changed {
				return "", nil
			}
			return f.Name, f.Value.String()
		}), nil); err != nil {
			return nil, fmt.Errorf("flags: %w", err)
		}
	}
	flag := func(path string) string { return "--" + path }
	layers = append(layers, layer{inFlags, flag, flag, nil})
	for _, layer := range layers {
		errs = append(errs, l.apply(keys, layer)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for path, o := range l.values {
		k, _ := find(keys, path)
		value, err := k.parse(o.raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.where, err)
		}
		set(reflect.ValueOf(&l.Config).Elem(), k.split(path), value)
	}
	return l, nil
}

func fileName(environ []string, flags *pflag.FlagSet) (name string, named bool) {
	if flags != nil {
		if v, err := flags.GetString("config"); err == nil && v != "" {
			return v, true
		}
	}
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "ODAC_CONFIG="); ok && v != "" {
			return v, true
		}
	}
	return DefaultFile, false
}

// load puts values into a layer.
func load(layer *koanf.Koanf, values map[string]any) error {
	return layer.Load(confmap.Provider(values, ""), nil)
}

func readEnv(keys []Key, environ []string) (*koanf.Koanf, error) {
	var errs []error
	layer := koanf.New(".")
	values := make(map[string]any)
	provider := env.Provider(".", env.Opt{Prefix: "ODAC_", EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		if name == "ODAC_CONFIG" || value == "" {
			return "", nil
		}
		if path, ok := pathOf(keys, name); ok {
			values[path] = value
			return "", nil
		}
		errs = append(errs, fmt.Errorf("%s: no such key%s", name, suggest(keys, guess(keys, name), variable)))
		return "", nil
	}})
	if err := layer.Load(provider, nil); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		if err := layer.Set(path, values[path]); err != nil {
			return nil, fmt.Errorf("environment: %s: %w", variable(path), err)
		}
	}
	return layer, errors.Join(errs...)
}

// guess cuts the name of an unknown variable at the dots that its section has.
func guess(keys []Key, name string) string {
	path := strings.ToLower(strings.TrimPrefix(name, "ODAC_"))
	for _, k := range keys {
		if first, _, ok := strings.Cut(k.Path, "."); ok && strings.HasPrefix(path, first+"_") {
			rest := path[len(first)+1:]
			if k.Named() {
				rest = strings.Replace(rest, "_", ".", 1)
			}
			return first + "." + rest
		}
	}
	return path
}

// apply checks one layer and puts it over what is there.
func (l *Loaded) apply(keys []Key, from layer) (errs []error) {
	values := from.values.All()
	paths := slices.Sorted(maps.Keys(values))
	slices.SortStableFunc(paths, func(a, b string) int { return from.lines[a] - from.lines[b] })
	for _, path := range paths {
		raw, name := values[path], from.name(path)
		if where := from.where(path); where != name {
			name = where + ": " + name
		}
		k, known := find(keys, path)
		empty := raw == nil
		if m, ok := raw.(map[string]any); ok && len(m) == 0 {
			empty = true
		}
		switch {
		case !known && section(keys, path) && empty: // a section whose keys are commented out
			continue
		case !known && section(keys, path):
			errs = append(errs, fmt.Errorf("%s: is a section: write its keys below it", name))
			continue
		case !known:
			errs = append(errs, fmt.Errorf("%s: no such key%s", name, suggest(keys, path, from.name)))
			continue
		case empty:
			errs = append(errs, fmt.Errorf("%s: has no value: write one or delete the line", name))
			continue
		}
		if _, err := k.parse(raw); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		l.values[path] = origin{raw, from.where(path)}
	}
	return errs
}

// Value is one effective setting.
type Value struct{ Path, Text, From string }

// Effective lists every value that holds, by path, with secrets hidden and where it came from.
func (l *Loaded) Effective() []Value {
	keys := Keys()
	out := make([]Value, 0, len(l.values))
	for _, path := range slices.Sorted(maps.Keys(l.values)) {
		k, _ := find(keys, path)
		v := Value{Path: path, Text: fmt.Sprint(l.values[path].raw), From: l.values[path].where}
		if list, ok := l.values[path].raw.([]string); ok {
			v.Text = strings.Join(list, ", ")
		}
		if v.Text != "" && (k.Secret || k.Named() && plugins.IsSecret(path)) {
			v.Text = plugins.HiddenValue
		}
		out = append(out, v)
	}
	return out
}

// From says where a key's value comes from: FromDefault, file and line, the variable or the flag.
func (l *Loaded) From(path string) string { return l.values[path].where }
