package plugins

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels to branch on with [errors.Is]. The error around one says more, and what to do.
var (
	// ErrNotBundle: the bytes are not an .odac file, or are one that was tampered with or repacked by another tool.
	ErrNotBundle = errors.New("not a bundle")
	// ErrTruncated: the bytes begin like an .odac file and end too early.
	ErrTruncated = errors.New("truncated")
	// ErrBundleVersion: the bundle's format is newer than this host reads.
	ErrBundleVersion = errors.New("bundle format is newer than this host")
	// ErrTooLarge: a limit of the bundle format is exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrDigest: the bytes do not have the digest they should have.
	ErrDigest = errors.New("digest does not match")
	// ErrNotFound: no such bundle, deployment or history entry in the store.
	ErrNotFound = errors.New("not found")
	// ErrDamaged: a file of the store cannot be read as what it should be.
	ErrDamaged = errors.New("damaged")
	// ErrApproval: a deployment adds capabilities that nobody approved; it is what [ApprovalError] is.
	ErrApproval = errors.New("needs approval")
	// ErrNotGranted: a plugin does what its manifest does not ask for; it is what [GrantError] is.
	ErrNotGranted = errors.New("not granted")

	errIsDir  = errors.New("is a folder")
	errNotDir = errors.New("not a folder")
)

// position is a place in the manifest, counted from 1; 0 is unknown.
type position struct{ line, column int }

// Problem is one thing that is wrong with a manifest.
type Problem struct {
	// Line and Column count from 1; 0 is a problem of the file as a whole.
	Line, Column int
	// Key is the dotted key, such as capabilities.db.tables.posts; empty where the YAML itself cannot be read.
	Key string
	// Message says what is wrong and what to do.
	Message string
}

// ManifestError is everything that is wrong with a manifest, at least one problem, by line.
type ManifestError struct {
	// File is the manifest's name, as the caller gave it.
	File     string
	Problems []Problem
}

// Error gives one line per problem: file:line:column: key: what is wrong.
func (e *ManifestError) Error() string {
	if len(e.Problems) == 1 {
		return "plugins: " + e.line(e.Problems[0])
	}
	var b strings.Builder
	more := ""
	if len(e.Problems) == maxProblems {
		more = " or more"
	}
	fmt.Fprintf(&b, "plugins: %s has %d problems%s", e.File, len(e.Problems), more)
	for _, p := range e.Problems {
		b.WriteString("\n  " + e.line(p))
	}
	return b.String()
}

func (e *ManifestError) line(p Problem) string {
	var b strings.Builder
	b.WriteString(e.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// ApprovalError says that a revision may do more than the one that runs, and that nobody approved it. [errors.Is] finds
// [ErrApproval].
type ApprovalError struct {
	Tenant, Name string
	// Changes are the additions, in the order of plugin.yaml.
	Changes []GrantChange
}

// Error lists the additions, one a line.
func (e *ApprovalError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plugins: %s of tenant %s asks for capabilities that it did not have; approve them (--approve) or deploy another revision:", e.Name, e.Tenant)
	for _, c := range e.Changes {
		b.WriteString("\n  " + c.String())
	}
	return b.String()
}

// Is makes it an [ErrApproval].
func (e *ApprovalError) Is(target error) bool { return target == ErrApproval }

// locally gives an error of the system the package's prefix; ours have it.
func locally(err error, verb string) error {
	if err == nil || strings.HasPrefix(err.Error(), "plugins: ") {
		return err
	}
	return fmt.Errorf("plugins: %s: %w", verb, err)
}
