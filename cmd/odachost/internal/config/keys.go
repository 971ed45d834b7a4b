package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odac-run/odachost/plugins"
)

// Key is one thing that can be set.
type Key struct {
	// Path is the dotted key. A <name> in it is the operator's to choose.
	Path, Default, Doc string
	Secret             bool
	kind               reflect.Type
	check              func(string) error
}

// Env is the environment variable of the key.
func (k Key) Env() string {
	return "ODAC_" + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Kind names the type for people.
func (k Key) Kind() string {
	switch k.kind {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[int]():
		return "number"
	case reflect.TypeFor[[]string]():
		return "list"
	}
	return "text"
}

// Keys lists every key, in the order of [Config].
func Keys() []Key {
	var keys []Key
	walk(reflect.TypeFor[Config](), "", func(k Key) { keys = append(keys, k) })
	return keys
}

// namePart stands in a path for the operator's name, and keyPart for a plugin's key.
const (
	namePart = "<name>"
	keyPart  = "<key>"
)

func walk(t reflect.Type, prefix string, visit func(Key)) {
	for i := range t.NumField() {
		f := t.Field(i)
		path := prefix + f.Tag.Get("key")
		switch {
		case f.Type.Kind() == reflect.Struct:
			walk(f.Type, path+".", visit)
		case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			walk(f.Type.Elem(), path+"."+namePart+".", visit)
		case f.Type.Kind() == reflect.Map:
			visit(Key{Path: path + "." + namePart + "." + keyPart, Doc: "value for the config section of the plugin's plugin.yaml", kind: reflect.TypeFor[string]()})
		default:
			visit(Key{Path: path, Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Secret: f.Tag.Get("secret") == "true", kind: f.Type, check: checks[path]})
		}
	}
}

// checks are the keys whose text has a form of its own.
var checks = map[string]func(string) error{
	"log.level": func(s string) error {
		var l slog.Level
		if err := l.UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("%q is not debug, info, warn or error", s)
		}
		return nil
	},
	"log.format": func(s string) error {
		if !slices.Contains([]string{"auto", "text", "json"}, s) {
			return fmt.Errorf("%q is not auto, text or json", s)
		}
		return nil
	},
}

// match says whether a concrete path, such as database.default.url, is of this key.
func (k Key) match(path string) bool {
	want, got := strings.Split(k.Path, "."), strings.Split(path, ".")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && want[i] != namePart && want[i] != keyPart {
			return false
		}
	}
	return true
}

// parse checks a value, as text or as YAML gave it, and returns it in the field's type.
func (k Key) parse(raw any) (reflect.Value, error) {
	text := fmt.Sprint(raw)
	switch k.kind {
	case reflect.TypeFor[time.Duration]():
		d, err := plugins.ParseDuration(text)
		return reflect.ValueOf(d), err
	case reflect.TypeFor[Size]():
		n, err := plugins.ParseSize(text)
		return reflect.ValueOf(Size(n)), err
	case reflect.TypeFor[int]():
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return reflect.Value{}, fmt.Errorf("%q is not a number of 0 or more", text)
		}
		return reflect.ValueOf(n), nil
	case reflect.TypeFor[[]string]():
		list, err := parseList(raw)
		return reflect.ValueOf(list), err
	}
	switch raw.(type) {
	case []any, map[string]any:
		return reflect.Value{}, fmt.Errorf("want one value, not a list or a section")
	}
	if k.check != nil {
		if err := k.check(text); err != nil {
			return reflect.Value{}, err
		}
	}
	return reflect.ValueOf(text), nil
}

func parseList(raw any) ([]string, error) {
	switch raw := raw.(type) {
	case []string:
		return raw, nil
	case []any:
		var list []string
		for _, item := range raw {
			list = append(list, fmt.Sprint(item))
		}
		return list, nil
	case string:
		var list []string
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("want a list")
}

// set writes a parsed value to the field of a concrete path, making map entries on the way.
func set(v reflect.Value, parts []string, value reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("key") == parts[0] {
				set(v.Field(i), parts[1:], value)
				return
			}
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(reflect.ValueOf(parts[0])); old.IsValid() {
			entry.Set(old)
		}
		set(entry, parts[1:], value)
		v.SetMapIndex(reflect.ValueOf(parts[0]), entry)
	default:
		v.Set(value)
	}
}
