package odac

import (
	"os"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(tests{m}) }

type tests struct{ *testing.M }

// Run removes what the tests shared.
func (t tests) Run() int {
	defer func() { _ = os.RemoveAll(hostDir) }() // nothing to remove when it is empty
	return t.M.Run()
}
