package admin

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/odac-run/odachost/migrate"
)

// Trashed is one line of the answers about what migrations took away and what is kept of it.
type Trashed struct {
	Database string
	migrate.Trashed
}

// TrashOf is what is kept in a database as it crosses the socket.
func TrashOf(database string, list []*migrate.Trashed) []Trashed {
	out := make([]Trashed, 0, len(list))
	for _, t := range list {
		out = append(out, Trashed{database, *t})
	}
	return out
}

func trashOf(kept map[string][]*migrate.Trashed) []Trashed {
	out := []Trashed{}
	for _, database := range slices.Sorted(maps.Keys(kept)) {
		out = append(out, TrashOf(database, kept[database])...)
	}
	return out
}

func trashPath(tenant, plugin, rest string) string {
	return "/v1/migrate/" + url.PathEscape(tenant) + "/" + url.PathEscape(plugin) + "/" + rest
}

// Trash lists what can be brought back.
func (c *Client) Trash(ctx context.Context, tenant, plugin string) (out []Trashed, err error) {
	err = c.get(ctx, trashPath(tenant, plugin, "trash"), &out)
	return out, err
}

// Restore brings one thing back by its id.
func (c *Client) Restore(ctx context.Context, tenant, plugin, id string) (out Trashed, err error) {
	err = c.post(ctx, trashPath(tenant, plugin, "trash/"+url.PathEscape(id)), struct{}{}, &out)
	return out, err
}

// purge is the body of POST /v1/migrate/.../purge.
type purge struct{ Older time.Duration }

// Purge takes away for good what was dropped longer ago.
func (c *Client) Purge(ctx context.Context, tenant, plugin string, older time.Duration) (out []Trashed, err error) {
	err = c.post(ctx, trashPath(tenant, plugin, "purge"), purge{older}, &out)
	return out, err
}

func (s *server) trash(w http.ResponseWriter, r *http.Request) {
	kept, err := s.host.Trash(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"))
	answer(w, trashOf(kept), err)
}

func (s *server) restore(w http.ResponseWriter, r *http.Request) {
	back, err := s.host.Restore(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"), r.PathValue("id"))
	if err != nil {
		answer(w, struct{}{}, err)
		return
	}
	answer(w, Trashed{Trashed: *back}, nil)
}

func (s *server) purge(w http.ResponseWriter, r *http.Request) {
	var in purge
	if !read(w, r, &in) {
		return
	}
	gone, err := s.host.Purge(r.Context(), r.PathValue("tenant"), r.PathValue("plugin"), in.Older)
	answer(w, trashOf(gone), err)
}
