package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // its own tables
	"github.com/pocketbase/pocketbase/plugins/jsvm"

	"github.com/odac-run/odachost/host"
)

// hookScript is the plugin's route as a PocketBase author writes it, by the query builder: one row into a model, out as JSON.
const hookScript = `routerAdd("GET", "/store/{id}", (e) => {
	const row = new DynamicModel({id: 0, name: "", note: ""})
	$app.db().select("id", "name", "note").from("items").where($dbx.hashExp({id: parseInt(e.request.pathValue("id"))})).limit(1).one(row)
	return e.json(200, {id: row.id, name: row.name, note: row.note})
})`

// newPocketBase is PocketBase in this process with that hook: its default router and middleware, its own pool of runtimes, without its log
// of requests, which would write to disk, and without CORS, which only its command adds.
func newPocketBase(dir string) (handler http.Handler, stop func() error, err error) {
	hooks := filepath.Join(dir, "pb_hooks")
	if err := os.MkdirAll(hooks, 0o700); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(filepath.Join(hooks, "store.pb.js"), []byte(hookScript), 0o600); err != nil {
		return nil, nil, err
	}
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: filepath.Join(dir, "pb_data")})
	if err := jsvm.Register(app, jsvm.Config{HooksDir: hooks, HooksPoolSize: 15}); err != nil { // the size is its command's default
		return nil, nil, err
	}
	if err := app.Bootstrap(); err != nil {
		return nil, nil, err
	}
	stop = func() error { return app.ResetBootstrapState() }
	if err := app.RunAllMigrations(); err != nil {
		return nil, stop, err
	}
	app.Settings().Logs.MaxDays = 0
	if _, err := app.DB().NewQuery("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT)").Execute(); err != nil {
		return nil, stop, err
	}
	for i := range 1000 {
		row := map[string]any{"id": i + 1, "name": fmt.Sprintf("The item number %d", i+1), "note": "What there is to say of it is said in a line or two."}
		if _, err := app.DB().Insert("items", row).Execute(); err != nil {
			return nil, stop, err
		}
	}
	router, err := apis.NewRouter(app)
	if err != nil {
		return nil, stop, err
	}
	event := &core.ServeEvent{App: app, Router: router, Server: new(http.Server)}
	err = app.OnServe().Trigger(event, func(e *core.ServeEvent) error {
		handler, err = e.Router.BuildMux()
		return err
	})
	return handler, stop, err
}

// hooks compares a request that reads one row of SQLite in a plugin with the same in a PocketBase hook, both handlers called directly.
func (b *bench) hooks(h *host.Host) (err error) {
	peer, stop, err := newPocketBase(filepath.Join(b.dir, "pocketbase"))
	if stop != nil {
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err != nil {
		return fmt.Errorf("pocketbase: %w", err)
	}
	const requests = 300
	var ratios, ours, theirs []float64
	for round := range databaseRounds + 1 {
		mine, err := requested(h, requests)
		if err != nil {
			return err
		}
		other, err := requested(peer, requests)
		if err != nil {
			return fmt.Errorf("pocketbase: %w", err)
		}
		if round > 0 {
			ratios = append(ratios, median(mine)/median(other))
			ours, theirs = append(ours, mine...), append(theirs, other...)
		}
	}
	figure("database.sqlite.hook.ratio", median(ratios), "x", "(one row for one request, over a PocketBase JavaScript hook)")
	figure("database.sqlite.hook.p50_us", percentile(ours, 50), "us", fmt.Sprintf("peer pocketbase %.3f", percentile(theirs, 50)))
	figure("database.sqlite.hook.p99_us", percentile(ours, 99), "us", fmt.Sprintf("peer pocketbase %.3f", percentile(theirs, 99)))
	return nil
}

// requested times requests of one row each, in microseconds.
func requested(h http.Handler, n int) ([]float64, error) {
	runtime.GC()
	took := make([]float64, n)
	for i := range took {
		id := i%1000 + 1
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("/store/%d", id), nil)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		took[i] = float64(time.Since(began)) / float64(time.Microsecond)
		if text := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(text, fmt.Sprintf(`"The item number %d"`, id)) {
			return nil, fmt.Errorf("answered %d %s", w.Code, text)
		}
	}
	return took, nil
}
