package host

import (
	"path/filepath"
	"testing"

	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
)

// What a cached query was known to touch holds for the tables as they were: after a migration it is looked at anew.
func TestReadsEndWithTheCatalog(t *testing.T) {
	db, err := database.Open(t.Context(), database.Config{Type: "sqlite", Filename: filepath.Join(t.TempDir(), "a.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, asked := newReads(&revision{key: key{"tenant", "plugin"}}), cache.KeyOf([]byte("a query"))
	if _, ok := r.get(asked); ok {
		t.Error("a query is known that nobody asked")
	}
	r.put(asked, knownRead{&connection{db: db}, db.Catalog(), nil})
	if _, ok := r.get(asked); !ok {
		t.Error("a query that was asked is not known again")
	}
	if err := db.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.get(asked); ok {
		t.Error("a query is known by the tables of before a migration")
	}
}
