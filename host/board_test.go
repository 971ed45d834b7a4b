package host_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// The example board, as wrk sees it while twenty deploys alternate between two versions of it.
func TestSwapBoardUnderWrk(t *testing.T) {
	if raceDetector {
		t.Skip("wrk takes all there is, and a deploy under the race detector then takes half a minute: TestSwapUnderLoad is paced")
	}
	wrk := testkit.Need(t, "wrk")
	s := open(t, t.TempDir())
	from := filepath.Join("..", "examples", "board")
	versions := []*plugins.Bundle{pack(t, from, "title: The board", "title: Version one"), pack(t, from, "title: The board", "title: Version two")}
	s.deploy(versions[0])
	sockets := make([]*websocket.Conn, 50)
	var reading sync.WaitGroup
	ctx, hush := context.WithCancel(t.Context())
	for i := range sockets {
		c, _, err := websocket.Dial(t.Context(), s.url+"/live/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		sockets[i] = c
		t.Cleanup(func() { c.CloseNow() })
		reading.Go(func() {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					if ctx.Err() == nil {
						t.Errorf("socket %d: %v", i, err)
					}
					return
				}
			}
		})
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), wrk, "-t2", "-c64", "-d10m", s.url+"/")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		began := s.Plugins()[0].Digest
		s.deploy(versions[(i+1)%2])
		testkit.Eventually(t, "the new version is asked", func() bool { return s.Plugins()[0].Events > 64 })
		if s.Plugins()[0].Digest == began {
			t.Error("nothing was swapped")
		}
	}
	if n := s.Plugins()[0].Sockets; n != len(sockets) {
		t.Errorf("%d sockets are open, want %d", n, len(sockets))
	}
	hush()
	reading.Wait()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	text := out.String()
	if err != nil || strings.Contains(text, "Non-2xx") || strings.Contains(text, "Socket errors") || !strings.Contains(text, "requests in") {
		t.Errorf("%v\n%s", err, text)
	}
	t.Log(fmt.Sprint("wrk says:\n", text))
}
