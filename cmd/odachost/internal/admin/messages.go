package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/migrate/diagram"
	"github.com/odac-run/odachost/plugins"
)

// SocketName is the socket's file below the data folder.
const SocketName = "odachost.sock"

// Deploy is the query of POST /v1/deploy; the body is the bundle. The answer is a line of JSON for each step, an
// [Event], the last of which has a result or an error.
type Deploy struct {
	Tenant, Name, By, Note, ApprovePlan string
	Approve                             bool
}

// Event is one line of a deploy's answer.
type Event struct {
	Step       string              `json:"step,omitempty"`
	Deployment *plugins.Deployment `json:"deployment,omitempty"`
	Error      *Error              `json:"error,omitempty"`
}

// Rollback is the body of POST /v1/rollback.
type Rollback struct {
	Tenant, Name, To, By, Note string
}

// Remove is the body of POST /v1/remove.
type Remove struct {
	Tenant, Name, By, Note string
}

// Plugin is one line of GET /v1/plugins.
type Plugin struct {
	Tenant, Name, Version, Digest, Mount, Isolation string
	Routes, Sockets, Instances                      int
	Events, Failures                                uint64
	Grants                                          []string  `json:",omitempty"` // what it may do, one by one
	TrialUntil                                      time.Time `json:",omitzero"`  // until when it can still be taken back by itself
	Error                                           string    `json:",omitempty"`
}

// Database is one line of GET /v1/databases: see [host.DatabaseStatus].
type Database struct {
	Tenant, Name, Server        string
	Latency                     time.Duration
	Error                       string `json:",omitempty"`
	Connections, InUse, Waiting int
	Queries, Errors, Reopened   uint64
}

// GrantsOf is what a manifest asks for, as it crosses the socket.
func GrantsOf(m *plugins.Manifest) []string {
	var list []string
	for _, c := range plugins.DiffGrants(nil, m) {
		list = append(list, strings.TrimPrefix(c.String(), "+ "))
	}
	return list
}

// History is one line of GET /v1/history.
type History struct {
	Seq                               int64
	Action, Version, Digest, By, Note string
	At                                time.Time
}

// HistoryOf is a deployment's history as it crosses the socket.
func HistoryOf(entries []plugins.Entry) []History {
	list := make([]History, 0, len(entries))
	for _, e := range entries {
		list = append(list, History{Seq: e.Seq, Action: string(e.Action), Version: e.Version, Digest: string(e.Digest), By: e.By, Note: e.Note, At: e.At})
	}
	return list
}

// Migration is the answer of GET and POST /v1/migrate.
type Migration struct {
	Database string
	Hash     string
	Text     string // the plan for people
	JSON     json.RawMessage
	SVG      string // what it changes, as a picture
	Steps    int
	Applied  bool
	Files    []string // what was applied of the migration files, a line for each
}

// FilesOf writes what was applied for people.
func FilesOf(applied []migrate.AppliedFile) []string {
	var out []string
	for _, f := range applied {
		line := fmt.Sprintf("applied %s, batch %d, %s", f.Name, f.Batch, f.Finished)
		if f.Finished == "" {
			line = fmt.Sprintf("failed %s, %s: %s", f.Name, f.Started, f.Error)
		}
		out = append(out, line)
	}
	return out
}

// MigrationOf is a plan as it crosses the socket.
func MigrationOf(database string, plan *migrate.Plan, applied bool) (Migration, error) {
	data, err := plan.JSON()
	return Migration{
		Database: database, Hash: plan.Hash, Text: plan.String(), JSON: data, SVG: string(diagram.Change(plan.Schemas())), Steps: len(plan.Steps), Applied: applied,
	}, err
}

// RolledBack is one line of the answer of POST /v1/migrate/.../rollback.
type RolledBack struct {
	Database string
	Files    []string // the last one first
}

// Error is a failure with what a command needs to answer it.
type Error struct {
	Text string `json:"text"`
	// Approval is set when the caller has to approve new capabilities.
	Approval bool `json:"approval,omitempty"`
	// Plan is the hash of a migration plan that the caller has to approve.
	Plan string `json:"plan,omitempty"`
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// ErrorOf is an error as it crosses the socket.
func ErrorOf(err error) *Error {
	e := &Error{Text: err.Error(), Approval: errors.Is(err, plugins.ErrApproval)}
	var plan *migrate.ApprovalError
	if errors.As(err, &plan) {
		e.Plan = plan.Hash
	}
	return e
}
