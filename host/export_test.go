package host

import "time"

// AskSizesOften makes the host ask servers for the sizes of tenants with every write.
func (h *Host) AskSizesOften() { h.sizeInterval, h.fullInterval = time.Nanosecond, time.Nanosecond }

// HoldWakes is as if plugins were waking, as many as may at once, until it is released.
func (h *Host) HoldWakes() (release func()) {
	for range cap(h.wakes) {
		h.wakes <- struct{}{}
	}
	return func() {
		for range cap(h.wakes) {
			<-h.wakes
		}
	}
}
