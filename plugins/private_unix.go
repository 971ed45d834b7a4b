//go:build !windows

package plugins

import (
	"errors"
	"fmt"
	"os"
)

// syncDir puts a rename on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkPrivate makes sure that a folder gives others none of the permissions in mask.
func checkPrivate(dir string, mask os.FileMode) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&mask != 0 {
		return fmt.Errorf("%s has mode %#o, and what lies in it is run: chmod 700 %s", dir, mode, dir)
	}
	return nil
}
