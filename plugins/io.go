package plugins

import (
	"fmt"
	"io"
)

// readLimited reads all of r and fails where it has more than limit bytes, without reading on.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: more than %s", ErrTooLarge, FormatSize(limit))
	}
	return data, nil
}
