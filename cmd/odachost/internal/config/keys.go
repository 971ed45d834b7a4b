package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Key is one thing that can be set.
type Key struct {
	// Path is the dotted key. A <name> in it is the operator's to choose, a <key> the plugin's.
	Path, Default, Doc string
	Secret             bool
	kind               reflect.Type
	check              func(string) error
}

// namePart stands in a path for the operator's name, and keyPart, always the last, for a plugin's key.
const (
	namePart = "<name>"
	keyPart  = "<key>"
)

// Keys lists every key, in the order of [Config].
func Keys() []Key {
	var keys []Key
	walk(reflect.TypeFor[Config](), "", func(k Key) { keys = append(keys, k) })
	return keys
}

func walk(t reflect.Type, prefix string, visit func(Key)) {
	for i := range t.NumField() {
		f := t.Field(i)
		path := prefix + f.Tag.Get("key")
		switch {
		case f.Type.Kind() == reflect.Struct:
			walk(f.Type, path+".", visit)
		case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			walk(f.Type.Elem(), path+"."+namePart+".", visit)
		default:
			k := Key{Path: path, Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Secret: f.Tag.Get("secret") == "true", kind: f.Type}
			if f.Type.Kind() == reflect.Map {
				k.Path, k.kind = path+"."+namePart+"."+keyPart, reflect.TypeFor[string]()
			}
			k.check = checks[k.Path]
			visit(k)
		}
	}
}

// Named says whether a part of the path is the operator's to choose. Such a key has no flag.
func (k Key) Named() bool { return strings.Contains(k.Path, namePart) }

// Env is the environment variable of the key, for one with names a pattern such as ODAC_DATABASE_<NAME>_URL.
func (k Key) Env() string { return variable(k.Path) }

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

// split cuts a concrete path, such as database.default.url, into as many parts as the key has. A plugin's key may have
// dots.
func (k Key) split(path string) []string {
	if strings.HasSuffix(k.Path, keyPart) {
		return strings.SplitN(path, ".", strings.Count(k.Path, ".")+1)
	}
	return strings.Split(path, ".")
}

// match says whether a concrete path is of this key.
func (k Key) match(path string) bool {
	want, got := strings.Split(k.Path, "."), k.split(path)
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if got[i] == "" || want[i] != got[i] && want[i] != namePart && want[i] != keyPart {
			return false
		}
	}
	return true
}

// find gives the key of a concrete path.
func find(keys []Key, path string) (Key, bool) {
	for _, k := range keys {
		if k.match(path) {
			return k, true
		}
	}
	return Key{}, false
}

// section says whether keys lie below a concrete path, such as http, database or database.default.
func section(keys []Key, path string) bool {
	got := strings.Split(path, ".")
	for _, k := range keys {
		want := strings.Split(k.Path, ".")
		below := len(want) > len(got)
		for i := 0; below && i < len(got); i++ {
			below = want[i] == got[i] || want[i] == namePart
		}
		if below {
			return true
		}
	}
	return false
}

// variable writes a path as the environment does: capital letters, an underscore for each dot and before each letter that
// was capital, and two for each dash.
func variable(path string) string {
	var b strings.Builder
	b.WriteString("ODAC_")
	for _, r := range path {
		switch {
		case r == '.':
			b.WriteByte('_')
		case r == '-':
			b.WriteString("__")
		case unicode.IsUpper(r):
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

// pathOf is the concrete path of a variable. In one with names the first word after the section is the name, the rest the
// key: ODAC_DATABASE_ANALYTICS_URL, ODAC_PLUGINS_MY__BLOG_TITLE (my-blog). Letters are lower case; what has others, or
// dots, is for the file.
func pathOf(keys []Key, name string) (path string, ok bool) {
	for _, k := range keys {
		if !k.Named() {
			if k.Env() == name {
				return k.Path, true
			}
			continue
		}
		before, after, _ := strings.Cut(k.Env(), strings.ToUpper(namePart))
		rest, found := strings.CutPrefix(name, before)
		if !found || strings.ToUpper(name) != name {
			continue
		}
		chosen, last, found := strings.Cut(strings.ReplaceAll(rest, "__", "-"), "_")
		if !found || chosen == "" || last == "" {
			continue
		}
		chosen = strings.ToLower(chosen)
		path = strings.Replace(k.Path, namePart, chosen, 1)
		if prefix, found := strings.CutSuffix(path, keyPart); found {
			return prefix + strings.ToLower(last), true
		}
		if after == "_"+last {
			return path, true
		}
	}
	return "", false
}

// suggest says what was meant by a path that no key has, written as its layer writes it.
func suggest(keys []Key, path string, write func(string) string) string {
	best, score := "", 0
	for _, k := range keys {
		candidate := k.Path
		if want, got := strings.Split(k.Path, "."), strings.Split(path, "."); k.Named() && len(got) == len(want) && want[0] == got[0] {
			want[1] = got[1]
			candidate = strings.Join(want, ".")
		}
		if n := alike(candidate, path); n > score {
			best, score = candidate, n
		}
	}
	if best == "" || strings.Contains(best, keyPart) || score*3 < len(path)*2 {
		return ": odachost config --keys lists them"
	}
	return fmt.Sprintf(": did you mean %s?", write(best))
}

// alike is the length of the longest common subsequence, less half of what the lengths differ in.
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
