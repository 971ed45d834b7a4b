package host_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// childServe is a host in a process of its own, to be killed: the data folder, what is deployed, then bundles that are
// deployed in turn for ever. It says where it serves, then each step of a deploy before it is taken.
func childServe(args []string) int {
	if err := serveChild(args[0], args[1], args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveChild(dir, first string, more []string) error {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{DataDir: dir, CacheDir: cacheDir(nil), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return err
	}
	deploy := func(file string, progress func(string)) error {
		b, err := plugins.OpenFile(file)
		if err == nil {
			_, err = h.Deploy(ctx, b, host.DeployOptions{Approve: true, Progress: progress})
		}
		return err
	}
	if len(h.Plugins()) == 0 {
		if err := deploy(first, nil); err != nil {
			return err
		}
	}
	if p := h.Plugins(); len(p) != 1 || p[0].Err != nil {
		return fmt.Errorf("child: after the start: %+v", p)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	failed := make(chan error)
	go func() { failed <- h.Serve(ctx, l) }()
	for i := 0; len(more) > 0; i++ {
		if err := deploy(more[i%len(more)], func(step string) { fmt.Println(step) }); err != nil {
			return err
		}
	}
	return <-failed
}
