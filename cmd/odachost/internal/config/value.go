package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odac-run/odachost/plugins"
)

// Size is a number of bytes, written as plugins.ParseSize reads it.
type Size int64

// checks are the keys whose text has a form of its own.
var checks = map[string]func(string) error{
	"listen": func(s string) error {
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			return fmt.Errorf("%q is not an address: write host and port, such as 127.0.0.1:8080 or :8080", s)
		}
		return nil
	},
	"data": func(s string) error {
		if s == "" {
			return errors.New("is empty: name a folder")
		}
		return nil
	},
	"log.level": func(s string) error {
		var l slog.Level
		if err := l.UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("%q is not a level: write debug, info, warn or error", s)
		}
		return nil
	},
	"log.format": func(s string) error {
		if !slices.Contains([]string{"auto", "text", "json"}, s) {
			return fmt.Errorf("%q is not a format: write auto, text or json", s)
		}
		return nil
	},
	"http.trusted_proxies": func(s string) error {
		if _, err := parsePrefix(s); err != nil {
			return fmt.Errorf("%q is neither an address nor a network: write one such as 10.0.0.0/8", s)
		}
		return nil
	},
	"database.<name>.type": func(s string) error {
		if !slices.Contains(databaseKinds, strings.ToLower(s)) {
			return fmt.Errorf("%q is not a kind of database: write sqlite, postgres or mysql", s)
		}
		return nil
	},
	"database.<name>.url": func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" { // the text may hold a password, so it is not shown
			return errors.New("is not a URL: write one such as sqlite:data/blog.db or postgres://user:password@host/name")
		}
		if !slices.Contains(databaseKinds, u.Scheme) && u.Scheme != "file" {
			return fmt.Errorf("scheme %q is not a kind of database: write one such as sqlite:data/blog.db or postgres://user:password@host/name", u.Scheme)
		}
		return nil
	},
	"database.<name>.tls": func(s string) error {
		if !slices.Contains([]string{"", "verify", "require", "disable"}, s) {
			return fmt.Errorf("%q is no way to protect a connection: write verify, require or disable", s)
		}
		return nil
	},
	"buffer.node": func(s string) error {
		if s == "" || len(s) > 64 {
			return fmt.Errorf("has %d bytes: write a name of 1 to 64", len(s))
		}
		return nil
	},
	"buffer.max_log": atLeast(256 << 20),
}

// databaseKinds are the names of kinds of database, those of the reference implementation's drivers among them.
var databaseKinds = []string{"sqlite", "sqlite3", "better-sqlite3", "postgres", "postgresql", "pg", "mysql", "mysql2", "mariadb"}

func atLeast(bytes int64) func(string) error {
	return func(s string) error {
		if n, err := plugins.ParseSize(s); err == nil && n < bytes {
			return fmt.Errorf("%q is too little: at least %s", s, plugins.FormatSize(bytes))
		}
		return nil
	}
}

// parse checks a value as a layer gave it, a text or a list of texts, and returns it in the field's type.
func (k Key) parse(raw any) (reflect.Value, error) {
	if k.kind == reflect.TypeFor[[]string]() {
		return k.parseList(raw)
	}
	text, ok := raw.(string)
	if !ok {
		return reflect.Value{}, errors.New("wants one value, not a list")
	}
	if k.check != nil {
		if err := k.check(text); err != nil {
			return reflect.Value{}, err
		}
	}
	switch k.kind {
	case reflect.TypeFor[time.Duration]():
		d, err := plugins.ParseDuration(text)
		return reflect.ValueOf(d), err
	case reflect.TypeFor[Size]():
		n, err := plugins.ParseSize(text)
		return reflect.ValueOf(Size(n)), err
	case reflect.TypeFor[int]():
		n, err := strconv.ParseInt(text, 10, 31)
		if err != nil || n < 0 {
			return reflect.Value{}, fmt.Errorf("%q is not a number from 0 to %d", text, 1<<31-1)
		}
		return reflect.ValueOf(int(n)), nil
	}
	return reflect.ValueOf(text), nil
}

func (k Key) parseList(raw any) (reflect.Value, error) {
	list := []string{}
	switch raw := raw.(type) {
	case []string:
		list = raw
	case string:
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	}
	for _, item := range list {
		if k.check != nil {
			if err := k.check(item); err != nil {
				return reflect.Value{}, err
			}
		}
	}
	return reflect.ValueOf(list), nil
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
