package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// GCReport is what [Store.GC] did.
type GCReport struct {
	// Bundles are the deleted bundles, FreedBytes what they and unfinished files took.
	Bundles    []Digest
	FreedBytes int64
	// Deployments are the removed deployments, as tenant@name, whose time was over.
	Deployments []string
}

// GC deletes what nobody needs: histories of deployments removed longer ago than [StoreOptions.KeepRemoved], bundles that no
// entry of a history names and that are older than [StoreOptions.GraceTime], and files that a killed process did not finish. While
// a deployment's file is damaged it deletes no bundle, because that one may need it, and returns [ErrDamaged].
func (s *Store) GC(ctx context.Context) (GCReport, error) {
	var report GCReport
	err := s.locked(ctx, func() error {
		records, err := s.records()
		if err != nil {
			return fmt.Errorf("plugins: keep every bundle until this is repaired: %w", err)
		}
		needed := map[Digest]bool{}
		for _, r := range records {
			if last := r.last(); last.Action == ActionRemove && s.now().Sub(last.At) > s.options.KeepRemoved {
				if err := os.Remove(s.recordFile(r.Tenant, r.Name)); err != nil {
					return err
				}
				report.Deployments = append(report.Deployments, r.Tenant+"@"+r.Name)
				continue
			}
			for _, e := range r.History {
				needed[e.Digest] = true
			}
		}
		// A bundle goes only after the histories that named it are gone from the disk.
		if err := syncDir(s.deployments()); err != nil {
			return err
		}
		return errors.Join(s.sweep(ctx, s.bundles(), needed, &report), s.sweep(ctx, s.deployments(), nil, &report))
	})
	return report, locally(err, "collect garbage")
}

// sweep deletes the old unfinished files of a folder, and its bundles that are not needed.
func (s *Store) sweep(ctx context.Context, dir string, needed map[Digest]bool, report *GCReport) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		hex, isBundle := strings.CutSuffix(f.Name(), BundleExt)
		digest, err := ParseDigest(hex)
		isBundle = isBundle && err == nil && needed != nil
		if isBundle && needed[digest] || !isBundle && !strings.HasPrefix(f.Name(), tempPrefix) {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return err
		}
		if s.options.Now().Sub(info.ModTime()) < s.options.GraceTime {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
		report.FreedBytes += info.Size()
		if isBundle {
			report.Bundles = append(report.Bundles, digest)
		}
	}
	return nil
}
