package plugins

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads a number of bytes: "64MiB", "1.5 GiB", "500KB", "4096". KiB, MiB and GiB are powers of 1,024; KB, MB and GB of
// 1,000; no unit is bytes; case does not matter. "64M" is refused, because half of the world reads it as the one
// and half as the other. A negative size, or one above 2^63-1, is an error. Errors carry no package prefix: they are part of a
// sentence about a key.
func ParseSize(s string) (int64, error) {
	number := strings.TrimSpace(s)
	unit := int64(1)
	for _, u := range sizeUnits {
		if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
			number, unit = strings.TrimSpace(number[:n]), u.bytes
			break
		}
	}
	if strings.Trim(number, "0123456789.") != "" || number == "" {
		return 0, fmt.Errorf("%q is not a size: write a number and KiB, MiB or GiB, such as 64MiB", s)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/unit {
			return 0, fmt.Errorf("%q is too large for a size", s)
		}
		return n * unit, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too large for a size", s)
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: write a number and KiB, MiB or GiB, such as 64MiB", s)
	}
	if f *= float64(unit); f >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large for a size", s)
	}
	return int64(f), nil
}

// FormatSize writes a number of bytes as [ParseSize] reads it, exactly: "64MiB", "1536KiB", "1000B".
func FormatSize(n int64) string {
	for _, u := range sizeUnits[:3] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// ParseDuration reads a Go duration, "250ms", "1m30s", that is not negative; 0 needs no unit. Errors carry no package
// prefix: they are part of a sentence about a key.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		if _, number := strconv.ParseFloat(s, 64); number == nil {
			return 0, fmt.Errorf("%q has no unit: write %ss or %sms", s, s, s)
		}
		return 0, fmt.Errorf("%q is not a duration: write a number and ms, s, m or h, such as 500ms", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

// FormatDuration writes a duration as [ParseDuration] reads it, without the zero units of [time.Duration.String]: "1m", not
// "1m0s".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
