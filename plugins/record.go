package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// recordVersion is the newest version of a deployment's file that this package reads, and the one that it writes.
const recordVersion = 1

// maxRecordBytes bounds a deployment's file: some thousand entries with long notes.
const maxRecordBytes = 16 << 20

// record is a deployment's file. The history is never empty and sorted by Seq; its last entry is what holds.
type record struct {
	Format  int     `json:"format"`
	Tenant  string  `json:"tenant"`
	Name    string  `json:"name"`
	History []Entry `json:"history"`
}

func (r *record) last() Entry { return r.History[len(r.History)-1] }

func (r *record) entry(seq int64) (Entry, bool) {
	i := slices.IndexFunc(r.History, func(e Entry) bool { return e.Seq == seq })
	if i < 0 {
		return Entry{}, false
	}
	return r.History[i], true
}

func (r *record) deployment() Deployment {
	e := r.last()
	return Deployment{Tenant: r.Tenant, Name: r.Name, Digest: e.Digest, Version: e.Version, Seq: e.Seq, At: e.At, By: e.By, Note: e.Note}
}

// add appends an entry and lets go of the old ones: the last keep stay, and as many that rollbacks lead to.
func (r *record) add(e Entry, keep int) {
	e.Seq = 1
	if len(r.History) > 0 {
		e.Seq = r.last().Seq + 1
	}
	r.History = append(r.History, e)
	stays := map[int64]bool{}
	for _, e := range r.History[max(0, len(r.History)-keep):] {
		stays[e.Seq] = true
	}
	for seq, n := e.Seq, 0; n < keep; n++ {
		e, ok := r.entry(seq)
		if !ok {
			break
		}
		stays[seq] = true
		seq = e.Previous
	}
	r.History = slices.DeleteFunc(r.History, func(e Entry) bool { return !stays[e.Seq] })
}

func (s *Store) recordFile(tenant, name string) string {
	return filepath.Join(s.deployments(), tenant+"@"+name+".json")
}

// read gives a deployment's record, nil where there is none.
func (s *Store) read(tenant, name string) (*record, error) {
	file := s.recordFile(tenant, name)
	data, err := readFileLimited(file, maxRecordBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plugins: read deployment: %w", err)
	}
	r, err := parseRecord(data, tenant, name)
	if err != nil {
		return nil, fmt.Errorf("plugins: %s is %w: %w: restore it from a backup, or delete it and deploy the plugin again", file, ErrDamaged, err)
	}
	return r, nil
}

func parseRecord(data []byte, tenant, name string) (*record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Format > recordVersion:
		return nil, fmt.Errorf("it has format %d, this host reads up to %d (update odachost)", r.Format, recordVersion)
	case r.Format < 1:
		return nil, errors.New("it has no format")
	case r.Tenant != tenant || r.Name != name:
		return nil, fmt.Errorf("it is about %.100q of tenant %.100q", r.Name, r.Tenant)
	case len(r.History) == 0:
		return nil, errors.New("it has no history")
	}
	seq := int64(0)
	for _, e := range r.History {
		removal := e.Action == ActionRemove && e.Digest == ""
		if e.Seq <= seq || e.Previous >= e.Seq || e.Target >= e.Seq || !removal && !e.Digest.valid() {
			return nil, fmt.Errorf("entry %d does not make sense", e.Seq)
		}
		seq = e.Seq
	}
	return &r, nil
}

func (s *Store) write(r *record) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("plugins: write deployment: %w", err)
	}
	if b.Len() > maxRecordBytes {
		return fmt.Errorf("plugins: write deployment: %w: the history has more than %s", ErrTooLarge, FormatSize(maxRecordBytes))
	}
	if err := writeAtomic(s.recordFile(r.Tenant, r.Name), b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("plugins: write deployment: %w", err)
	}
	return nil
}

// records reads all deployments, by tenant and name. The error joins those of files that cannot be read; the others are
// there all the same.
func (s *Store) records() ([]*record, error) {
	files, err := os.ReadDir(s.deployments())
	if err != nil {
		return nil, fmt.Errorf("plugins: list deployments: %w", err)
	}
	var list []*record
	var errs []error
	for _, f := range files {
		key, ok := strings.CutSuffix(f.Name(), ".json")
		tenant, name, split := strings.Cut(key, "@")
		if !ok || !split || strings.HasPrefix(key, tempPrefix) {
			continue
		}
		r, err := s.read(tenant, name)
		if err != nil {
			errs = append(errs, err)
		} else if r != nil {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *record) int {
		return strings.Compare(a.Tenant+"@"+a.Name, b.Tenant+"@"+b.Name)
	})
	return list, errors.Join(errs...)
}

func (s *Store) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }
