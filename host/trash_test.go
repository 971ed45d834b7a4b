package host_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/migrate"
)

// What a deployment drops with the operator's approval can be listed, brought back with its rows, and taken away for good.
func TestTrash(t *testing.T) {
	const columns = "columns:\n  id: increments\n  title: {type: string, length: 100, nullable: false}\n"
	onServers(t, func(t *testing.T, server *server) {
		s := server.open(t)
		s.deployFor("red", "column", columnRevision(t, "1.0.0", columns+"  n: {type: string, length: 20, default: seven}\n"))
		s.has("POST", "/column/first", 204, "")

		without := columnRevision(t, "1.0.1", columns)
		_, err := s.Deploy(t.Context(), without, host.DeployOptions{Tenant: "red", Name: "column", Approve: true})
		var approval *migrate.ApprovalError
		if !errors.As(err, &approval) {
			t.Fatal(err)
		}
		if _, err := s.Deploy(t.Context(), without, host.DeployOptions{Tenant: "red", Name: "column", Approve: true, ApprovePlan: approval.Hash}); err != nil {
			t.Fatal(err)
		}
		trash := func() string {
			t.Helper()
			kept, err := s.Trash(t.Context(), "red", "column")
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, what := range kept["default"] {
				if d := cmp.Diff("column lines.n", what.String()); d != "" {
					t.Error(d)
				}
				ids = append(ids, what.ID)
			}
			return strings.Join(ids, " ")
		}
		testkit.Eventually(t, "the column goes", func() bool { return trash() != "" })
		id := trash()

		if _, err := s.Restore(t.Context(), "red", "column", "0"+id); !errors.Is(err, migrate.ErrTrash) {
			t.Errorf("an id that is not there: %v", err)
		}
		if _, err := s.Trash(t.Context(), "blue", "column"); !errors.Is(err, host.ErrNotDeployed) {
			t.Errorf("another tenant: %v", err)
		}
		if back, err := s.Restore(t.Context(), "red", "column", id); err != nil || back.ID != id {
			t.Fatal(back, err)
		}
		if left := trash(); left != "" {
			t.Errorf("left: %s", left)
		}
		s.has("GET", "/column/all", 200, "first")
		plans, err := s.Migrate(t.Context(), "red", "column", false, "")
		if err != nil || len(plans) != 1 || !strings.Contains(s.left(), "drop column lines.n") {
			t.Fatalf("the column is not there to be dropped: %v %v", plans, err)
		}

		if _, err := s.Migrate(t.Context(), "red", "column", true, plans[0].Plan.Hash); err != nil {
			t.Fatal(err)
		}
		if trash() == "" {
			t.Error("dropped again, and nothing is kept")
		}
		gone, err := s.Purge(t.Context(), "red", "column", 0)
		if err != nil || len(gone["default"]) != 1 || trash() != "" {
			t.Errorf("purged %v, %v", gone, err)
		}
	})
}
