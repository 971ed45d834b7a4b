package plugins

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strings"

	"golang.org/x/mod/semver"
)

// The checks of what stands in a manifest. Their errors are the end of a sentence about a key.

const maxNameBytes = 63

// CheckName says what is wrong with the name of a plugin, a deployment or a tenant, as the end of a sentence about it.
func CheckName(s string) error { return checkName(s) }

// checkName is for plugins, deployments and tenants: they become parts of file names, host names and metrics.
func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("is empty: write a name such as blog")
	case len(s) > maxNameBytes:
		return fmt.Errorf("%.20q... has %d bytes: shorten it to %d", s, len(s), maxNameBytes)
	case s[0] < 'a' || s[0] > 'z' || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || s[len(s)-1] == '-':
		return fmt.Errorf("%q is not a name: use lower-case letters, digits and dashes, a letter first, no dash last", s)
	}
	return nil
}

func checkVersion(s string) error {
	v := "v" + s
	if !semver.IsValid(v) || semver.Canonical(v)+semver.Build(v) != v {
		return fmt.Errorf("%q is not a semantic version: write three numbers, such as 1.0.0", s)
	}
	return nil
}

func checkDescription(s string) error {
	if len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return errors.New("is not one line of at most 255 bytes: shorten it")
	}
	return nil
}

func checkMountPath(s string) error {
	clean := path.Clean("/" + s)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return !urlSafe(r) && r != '/' }):
		return fmt.Errorf("%q is not a plain path: use letters, digits, - . _ ~ and /", s)
	case s != clean:
		return fmt.Errorf("%q is not a clean path: write %s", s, clean)
	case len(s) > 255:
		return fmt.Errorf("has %d bytes: shorten it to 255", len(s))
	}
	return nil
}

func urlSafe(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r)
}

// checkPath is for paths below a folder, on every system.
func checkPath(s string) error {
	switch {
	case strings.ContainsRune(s, '\\'):
		return fmt.Errorf("%q has a backslash: write / between folders", s)
	case path.IsAbs(s), len(s) > 1 && s[1] == ':':
		return fmt.Errorf("%q is absolute: write a path below the folder of %s", s, ManifestName)
	case !fs.ValidPath(s) || s == "." || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }):
		return fmt.Errorf("%q is not a path below the folder of %s: write one without .. and :, such as web/assets", s, ManifestName)
	}
	return nil
}

func checkTable(s string) error {
	if !isIdentifier(s) {
		return fmt.Errorf("%q is not a table name: use letters, digits and _, no digit first, at most %d bytes", s, maxNameBytes)
	}
	lower := strings.ToLower(s)
	for _, reserved := range []string{"odac", "_odac", "sqlite_"} {
		if strings.HasPrefix(lower, reserved) {
			return fmt.Errorf("table names that begin with %s are the host's: rename the table", reserved)
		}
	}
	return nil
}

func isIdentifier(s string) bool {
	if s == "" || len(s) > maxNameBytes || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f || !urlSafe(r) || strings.ContainsRune("-.~", r) })
}

func checkConfigKey(s string) error {
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return !urlSafe(r) || r == '~' }) {
		return errors.New("is not a configuration key: use letters, digits, - . and _")
	}
	return nil
}

// checkHost is for an exact host name, an IP address, or "*." and a host name.
func checkHost(s string) error {
	name := strings.TrimPrefix(s, "*.")
	if ip, err := netip.ParseAddr(s); err == nil {
		if plain := ip.Unmap().WithZone("").String(); plain != s {
			return fmt.Errorf("%q is an unusual spelling: write %s", s, plain)
		}
		return nil
	}
	switch {
	case strings.Contains(s, "://"):
		return fmt.Errorf("%q is a URL: write the host name alone", s)
	case strings.ContainsRune(s, '/'):
		return fmt.Errorf("%q has a path: write the host name alone", s)
	case strings.ContainsRune(s, ':'):
		return fmt.Errorf("%q has a port: write the host name alone", s)
	case strings.ToLower(s) != s:
		return fmt.Errorf("%q has capitals: write %s", s, strings.ToLower(s))
	case strings.ContainsRune(name, '*'):
		return fmt.Errorf(`%q: a * stands alone for the first part, as in "*.example.org"`, s)
	case name == "" || len(name) > 253:
		return fmt.Errorf("%q is not a host name", s)
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; last != "" && last[0] >= '0' && last[0] <= '9' {
		return fmt.Errorf("%q ends in a number, and some programs read it as an address: write all four numbers", s)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not a host name: use letters, digits, dashes and dots (xn-- for other alphabets)", s)
		}
	}
	return nil
}

// checkAnyHost is checkHost or "*".
func checkAnyHost(s string) error {
	if s == "*" {
		return nil
	}
	return checkHost(s)
}

// splitCommand splits at blanks; single and double quotes keep a part together. Nothing else is special: there is no shell.
func splitCommand(s string) ([]string, error) {
	var argv []string
	var part strings.Builder
	var quote rune
	open := false
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n' || r == '\r'):
			if open {
				argv = append(argv, part.String())
			}
			part.Reset()
			open = false
		default:
			part.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("has a %c that is not closed", quote)
	}
	if open {
		argv = append(argv, part.String())
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("has no command: write one, such as make plugin.wasm")
	}
	return argv, nil
}
