package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

// writeFiles writes files below dir, all or none: it looks for what is there first, and replaces it only by force. Nothing
// outside dir is written, whatever a name or a link in it says.
func writeFiles(dir string, files map[string][]byte, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // sources, which others read
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only a folder
	names := slices.Sorted(maps.Keys(files))
	var there []error
	for _, name := range names {
		if !fs.ValidPath(name) {
			return fmt.Errorf("%q is no name of a file below %s", name, dir)
		}
		_, err := root.Lstat(name)
		switch {
		case err == nil && !force:
			there = append(there, fmt.Errorf("%s is there already: --force replaces it", path.Join(dir, name)))
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if len(there) > 0 {
		return errors.Join(there...)
	}
	for _, name := range names {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
