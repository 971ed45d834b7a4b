package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var errLocked = errors.New("locked")

// lockFile takes the lock that excludes every other process and goroutine, and gives what releases it. The system releases
// it when a process dies. It polls, because a wait in the kernel could not be given up when ctx is done.
func lockFile(ctx context.Context, file string) (release func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	pause := time.Millisecond
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		err := tryLock(f)
		if err == nil {
			return func() error { return errors.Join(unlock(f), f.Close()) }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process keeps %s locked: wait for it to finish: %w", file, ctx.Err()), f.Close())
		case <-timer.C:
			pause = min(2*pause, 50*time.Millisecond)
			timer.Reset(pause)
		}
	}
}
