package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// maxBundle is the largest bundle that the API takes.
const maxBundle = 512 << 20

// Handler answers the API for a host.
func Handler(h *host.Host) http.Handler {
	s := &server{h}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/deploy", s.deploy)
	mux.HandleFunc("POST /v1/rollback", s.rollback)
	mux.HandleFunc("POST /v1/remove", s.remove)
	mux.HandleFunc("POST /v1/call/{tenant}/{plugin}/{function}", s.call)
	mux.HandleFunc("GET /v1/plugins", s.plugins)
	mux.HandleFunc("GET /v1/history/{tenant}/{plugin}", s.history)
	mux.HandleFunc("GET /v1/migrate/{tenant}/{plugin}", s.migrate)
	mux.HandleFunc("POST /v1/migrate/{tenant}/{plugin}", s.migrate)
	mux.HandleFunc("POST /v1/migrate/{tenant}/{plugin}/rollback", s.rollbackFiles)
	mux.HandleFunc("GET /v1/migrate/{tenant}/{plugin}/trash", s.trash)
	mux.HandleFunc("POST /v1/migrate/{tenant}/{plugin}/trash/{id}", s.restore)
	mux.HandleFunc("POST /v1/migrate/{tenant}/{plugin}/purge", s.purge)
	mux.HandleFunc("GET /v1/databases", s.databases)
	mux.HandleFunc("GET /v1/tenants", s.tenants)
	mux.HandleFunc("POST /v1/tenants/{tenant}", s.addTenant)
	mux.HandleFunc("DELETE /v1/tenants/{tenant}", s.removeTenant)
	mux.HandleFunc("GET /v1/tenants/{tenant}/export", s.exportTenant)
	return mux
}

// Listen opens the socket in the data folder, 0600. A socket that a killed host left is replaced: the caller holds the
// data folder's lock.
func Listen(dataDir string) (net.Listener, error) {
	path, err := socketPath(dataDir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// maxSocketPath is what every system takes for the name of a Unix socket: macOS has room for 103 bytes.
const maxSocketPath = 103

// socketPath is the socket's name, relative where the absolute one is too long for the system.
func socketPath(dataDir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dataDir, SocketName))
	if err != nil || len(path) <= maxSocketPath {
		return path, err
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(wd, path); err == nil && len(relative) <= maxSocketPath {
		return relative, nil
	}
	return "", fmt.Errorf("the path %s has %d bytes, and a socket's may have %d: choose a shorter data folder, or start from one above it", path, len(path), maxSocketPath)
}

type server struct{ host *host.Host }

func (s *server) deploy(w http.ResponseWriter, r *http.Request) {
	send := func(e Event) {
		_ = json.NewEncoder(w).Encode(e)
		_ = http.NewResponseController(w).Flush()
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBundle))
	if err != nil {
		send(Event{Error: ErrorOf(err)})
		return
	}
	bundle, err := plugins.Open(data)
	if err != nil {
		send(Event{Error: ErrorOf(err)})
		return
	}
	q := r.URL.Query()
	record, err := s.host.Deploy(r.Context(), bundle, host.DeployOptions{
		Tenant: q.Get("tenant"), Name: q.Get("name"), By: q.Get("by"), Note: q.Get("note"),
		Approve: q.Get("approve") == "true", ApprovePlan: q.Get("plan"),
		Progress: func(step string) { send(Event{Step: step}) },
	})
	if err != nil {
		send(Event{Error: ErrorOf(err)})
		return
	}
	send(Event{Deployment: &record})
}

func (s *server) rollback(w http.ResponseWriter, r *http.Request) {
	var in Rollback
	if !read(w, r, &in) {
		return
	}
	var to plugins.Digest
	if in.To != "" {
		var err error
		if to, err = plugins.ParseDigest(in.To); err != nil {
			answer(w, nil, err)
			return
		}
	}
	record, err := s.host.Rollback(r.Context(), in.Tenant, in.Name, to, in.By, in.Note)
	answer(w, record, err)
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	var in Remove
	if read(w, r, &in) {
		answer(w, struct{}{}, s.host.Remove(r.Context(), in.Tenant, in.Name, in.By, in.Note))
	}
}

func (s *server) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBundle))
	if err == nil {
		body, err = s.host.Call(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"), r.PathValue("function"), body)
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	_, _ = w.Write(body)
}

func (s *server) plugins(w http.ResponseWriter, _ *http.Request) {
	list := []Plugin{}
	for _, p := range s.host.Plugins() {
		row := Plugin{
			Tenant: p.Tenant, Name: p.Name, Version: p.Version, Digest: string(p.Digest), Mount: p.Mount.Path, Isolation: string(p.Isolation),
			Routes: p.Routes, Sockets: p.Sockets, Instances: p.Pool.Idle + p.Pool.InUse, Events: p.Events, Failures: p.Failures, TrialUntil: p.TrialUntil,
		}
		if stored, err := s.host.Store().Revision(p.Digest); err == nil {
			row.Grants = GrantsOf(stored.Manifest)
		}
		if p.Err != nil {
			row.Error = p.Err.Error()
		}
		list = append(list, row)
	}
	answer(w, list, nil)
}

func (s *server) history(w http.ResponseWriter, r *http.Request) {
	entries, err := s.host.Store().History(r.PathValue("tenant"), r.PathValue("plugin"))
	answer(w, HistoryOf(entries), err)
}

func (s *server) migrate(w http.ResponseWriter, r *http.Request) {
	apply := r.Method == http.MethodPost
	plans, err := s.host.Migrate(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"), apply, r.URL.Query().Get("plan"))
	list := []Migration{}
	for _, p := range plans {
		m, failed := MigrationOf(p.Database, p.Plan, p.Applied)
		m.Files = FilesOf(p.Files)
		list, err = append(list, m), errors.Join(err, failed)
	}
	answer(w, list, err)
}

func (s *server) rollbackFiles(w http.ResponseWriter, r *http.Request) {
	done, err := s.host.RollbackMigrations(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"))
	list := []RolledBack{}
	for _, database := range slices.Sorted(maps.Keys(done)) {
		list = append(list, RolledBack{Database: database, Files: done[database]})
	}
	answer(w, list, err)
}

func (s *server) databases(w http.ResponseWriter, r *http.Request) {
	list := []Database{}
	for _, d := range s.host.Databases(r.Context()) {
		line := Database{
			Tenant: d.Tenant, Name: d.Name, Server: d.Server, Latency: d.Latency.Round(time.Microsecond),
			Connections: d.Connections, InUse: d.InUse, Waiting: d.Waiting, Queries: d.Queries, Errors: d.Errors, Reopened: d.Reopened,
		}
		if d.Err != nil {
			line.Error = d.Err.Error()
		}
		list = append(list, line)
	}
	answer(w, list, nil)
}

func (s *server) tenants(w http.ResponseWriter, r *http.Request) {
	list, err := s.host.Tenants(r.Context())
	answer(w, list, err)
}

func (s *server) addTenant(w http.ResponseWriter, r *http.Request) {
	places, err := s.host.AddTenant(r.Context(), r.PathValue("tenant"))
	answer(w, places, err)
}

func (s *server) removeTenant(w http.ResponseWriter, r *http.Request) {
	answer(w, struct{}{}, s.host.RemoveTenant(r.Context(), r.PathValue("tenant")))
}

// exportTenant sends rows as they are read. An error that comes later cuts the answer, so that it does not look whole.
func (s *server) exportTenant(w http.ResponseWriter, r *http.Request) {
	out := &counted{Writer: w}
	if err := s.host.ExportTenant(r.Context(), r.PathValue("tenant"), out); err != nil {
		if out.n == 0 {
			answer(w, nil, err)
			return
		}
		panic(http.ErrAbortHandler)
	}
}

// counted counts what was written.
type counted struct {
	io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(into); err != nil {
		answer(w, nil, err)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = ErrorOf(err)
	}
	_ = json.NewEncoder(w).Encode(v)
}

// Server serves the handler with timeouts; bundles may take a while to arrive.
func Server(h *host.Host) *http.Server {
	return &http.Server{Handler: Handler(h), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Minute}
}
