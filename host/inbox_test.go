package host

import (
	"testing"

	"github.com/odac-run/odachost/abi"
)

// An inbox is bounded, keeps the order, and counts what it does not take.
func TestInbox(t *testing.T) {
	b := inbox{busy: true} // somebody is handing over, and slow
	for i := range maxInbox + 500 {
		b.put(nil, nil, abi.Notification{Payload: string(rune('a' + i%26))})
	}
	for i := range maxInbox {
		n, dropped, ok := b.take()
		if !ok || dropped != 0 || n.Payload != string(rune('a'+i%26)) {
			t.Fatalf("%d: %+v, %d, %t", i, n, dropped, ok)
		}
	}
	if _, dropped, ok := b.take(); ok || dropped != 500 || b.busy {
		t.Errorf("at the end: %t, %d dropped, busy %t", ok, dropped, b.busy)
	}
	if _, dropped, _ := b.take(); dropped != 0 {
		t.Errorf("dropped once more: %d", dropped)
	}
}
