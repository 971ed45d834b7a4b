package abi

import (
	"math"
	"testing"
)

func TestPack(t *testing.T) {
	for _, c := range []struct {
		errno Errno
		n     int
	}{{0, 0}, {ErrnoInternal, 5}, {math.MaxUint32, MaxMessageBytes}, {1, math.MaxUint32}} {
		if errno, n := Unpack(Pack(c.errno, c.n)); errno != c.errno || n != c.n {
			t.Errorf("Unpack(Pack(%d, %d)) = %d, %d", c.errno, c.n, errno, n)
		}
	}
}

func TestErrno(t *testing.T) {
	kinds := map[string]bool{}
	for e := range Errno(len(errnos)) {
		if e.Kind() == "" || kinds[e.Kind()] || e.Status() < 200 || e.Status() > 599 {
			t.Errorf("errno %d: kind %q, status %d", e, e.Kind(), e.Status())
		}
		kinds[e.Kind()] = true
	}
	if e := Errno(9999); e.Kind() != "errno_9999" || e.Status() != 500 {
		t.Errorf("an errno of the future is %q, %d", e.Kind(), e.Status())
	}
	if got := NewError(ErrnoBusy, "").Error(); got != "busy" {
		t.Errorf("an error without a text is %q, want its kind", got)
	}
}
