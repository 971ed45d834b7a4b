//go:build !unix

package engine

import (
	"fmt"
	"os"
)

// secureDir makes a directory. Who may write to it is up to the system's access lists.
func secureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return nil
}
