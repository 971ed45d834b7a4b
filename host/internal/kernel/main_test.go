package kernel

import (
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
