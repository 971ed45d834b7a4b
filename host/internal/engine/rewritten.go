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

// rewritten is a module as it is compiled, and what is known of the original.
type rewritten struct {
	wasm []byte
	info *instrument.Info
	file string // where it is kept once it was compiled; "" is nowhere
	kept bool   // it was there: its code should be in the cache too
}

// rewrite instruments a module. That takes longer than to load its code, so what was compiled before is read from the cache directory, which is
// this user's alone.
func (e *Engine) rewrite(cfg *LoadConfig, wasm []byte) (r rewritten, err error) {
	module, kind := instrument.Module, "instrumented"
	if cfg.Fuel != 0 {
		module, kind = instrument.Metered, "metered"
	}
	if e.cfg.CacheDir != "" {
		sum := sha256.Sum256(wasm)
		r.file = filepath.Join(e.cfg.CacheDir, kind, instrument.Version()+"-"+hex.EncodeToString(sum[:]))
		if r.wasm, r.kept = summed.Read(r.file, maxRewrittenBytes); r.kept {
			if r.info, err = instrument.Inspect(wasm, instrument.Limits{}); err == nil {
				return r, nil
			}
			r.kept = false
		}
	}
	r.wasm, r.info, err = module(wasm, instrument.Limits{})
	return r, err
}

// keep is for what was compiled.
func (r *rewritten) keep() {
	if r.file != "" && !r.kept {
		_ = summed.Write(r.file, r.wasm) // without it the next load does this again
	}
}
