package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"github.com/odac-run/odachost/host/internal/instrument"
	"github.com/odac-run/odachost/host/internal/summed"
)

// maxRewrittenBytes bounds an instrumented module that is kept.
const maxRewrittenBytes = 256 << 20

// rewrite gives a module as it is compiled, and what is known of the original. To instrument a module takes longer than to load its
// code, so what was instrumented before is read from the cache directory, which is this user's alone.
func (e *Engine) rewrite(cfg *LoadConfig, wasm []byte) (out []byte, info *instrument.Info, err error) {
	module, kind := instrument.Module, "instrumented"
	if cfg.Fuel != 0 {
		module, kind = instrument.Metered, "metered"
	}
	if e.cfg.CacheDir == "" {
		return module(wasm, instrument.Limits{})
	}
	sum := sha256.Sum256(wasm)
	file := filepath.Join(e.cfg.CacheDir, kind, instrument.Version()+"-"+hex.EncodeToString(sum[:]))
	if kept, ok := summed.Read(file, maxRewrittenBytes); ok {
		if info, err = instrument.Inspect(wasm, instrument.Limits{}); err == nil {
			return kept, info, nil
		}
	}
	if out, info, err = module(wasm, instrument.Limits{}); err == nil {
		_ = summed.Write(file, out) // without it the next load does this again
	}
	return out, info, err
}
