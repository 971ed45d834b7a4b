package plugins

import (
	"time"
)

// Revision is a bundle in a store. It never changes.
type Revision struct {
	// Digest names it.
	Digest Digest
	// Manifest is the bundle's.
	Manifest *Manifest
	// Bundle is the bundle itself, in memory.
	Bundle *Bundle
	// AddedAt is when it was last put into the store (the time of its file), UTC.
	AddedAt time.Time
}

// Deployment says which revision a tenant runs under a name, and which it ran before.
type Deployment struct {
	// Tenant and Name are the key: lower-case letters, digits, dashes, a letter first, at most 63 bytes each. Name is mostly the
	// plugin's.
	Tenant string
	Name   string
	// Digest is the revision that runs; empty after a removal.
	Digest Digest
	// Version is that revision's, from its manifest.
	Version string
	// Seq is the number of the newest history entry. It grows with each change, so that a watcher sees one.
	Seq int64
	// At, By and Note are the newest entry's.
	At   time.Time
	By   string
	Note string
}

// Action is what a history entry did.
type Action string

// The actions.
const (
	ActionDeploy   Action = "deploy"
	ActionRollback Action = "rollback"
	ActionRemove   Action = "remove"
)

// Entry is one step of a deployment's history.
type Entry struct {
	// Seq counts from 1 within the deployment.
	Seq int64 `json:"seq"`
	// Action is what was done.
	Action Action `json:"action"`
	// Digest and Version are what ran afterwards; empty for a removal.
	Digest  Digest `json:"digest,omitempty"`
	Version string `json:"version,omitempty"`
	// Previous is the Seq of the entry that a rollback from here goes back to, 0 for none.
	Previous int64 `json:"previous,omitempty"`
	// Target is, for a rollback, the Seq of the entry that it went back to.
	Target int64 `json:"target,omitempty"`
	// At is when, UTC; By is who and Note is why, both as the caller gave them.
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	Note string    `json:"note,omitempty"`
	// Approved are the capabilities that were new and that the caller approved, as [GrantChange.String] has them.
	Approved []string `json:"approved,omitempty"`
}

// DeployRequest is what [Store.Deploy] is asked.
type DeployRequest struct {
	// Tenant and Name are the deployment, Digest the revision, which must be in the store.
	Tenant, Name string
	Digest       Digest
	// By and Note are kept in the history; By is at most 255 bytes, Note at most 4,096.
	By, Note string
	// Approve says that the operator allows the capabilities that this revision adds. Callers set it for --approve and for a
	// deployment from a local folder by the owner of the machine.
	Approve bool
}

// RollbackRequest is what [Store.Rollback] is asked.
type RollbackRequest struct {
	Tenant, Name string
	// To is a digest of the history; empty is the previous one.
	To       Digest
	By, Note string
}
