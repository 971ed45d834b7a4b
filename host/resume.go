package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/summed"
	"github.com/odac-run/odachost/plugins"
)

// eager is how many deployments a host loads at its start, before it serves. Those after them begin asleep, where it is
// known what they register.
const eager = 16

// resume makes what the store says is deployed serve.
func (h *Host) resume(ctx context.Context) error {
	records, err := h.store.List()
	if err != nil {
		h.log.Error("some deployments cannot be read", "error", err)
	}
	var loading sync.WaitGroup
	slots := make(chan struct{}, 4)
	loads := 0
	for _, record := range records {
		if record.Digest == "" { // removed
			if err := h.revoke(ctx, key{record.Tenant, record.Name}); err != nil {
				h.log.Error("what a removed plugin was granted on servers is still there", "plugin", record.Name, "tenant", record.Tenant, "error", err)
			}
			continue
		}
		d, err := h.deployment(key{record.Tenant, record.Name})
		if err != nil {
			return err
		}
		if loads >= eager && h.config.SleepTime > 0 && h.recall(d, record.Digest) {
			continue
		}
		loads++
		loading.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := h.serveStored(ctx, d, record.Digest); err != nil {
				h.log.Error("deployment does not serve", "plugin", d.key.String(), "error", err)
				h.mu.Lock()
				h.broken[d.key] = err
				h.mu.Unlock()
			}
		})
	}
	loading.Wait()
	return ctx.Err()
}

// memory is what is kept of a deployed revision beside the compiled code, so that the next start can route to it without
// loading it. It is only a hint: what the plugin registers when it wakes must be the same.
type memory struct {
	Manifest []byte // plugin.yaml
	Message  []byte // what it registered
	Assets   bool   // there are some
}

// memoryFile names the file for a revision in this place: everything that a registration may depend on is in the name.
func (h *Host) memoryFile(k key, digest plugins.Digest) string {
	sum := sha256.New()
	e := json.NewEncoder(sum)
	config := h.config.PluginConfig[k.name]
	for _, part := range []any{1, abi.Version, h.config.Version, k.tenant, k.name, digest} {
		_ = e.Encode(part) // a hash takes everything
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		_ = e.Encode([]string{name, config[name]})
	}
	return filepath.Join(h.config.CacheDir, "registered", hex.EncodeToString(sum.Sum(nil)))
}

// remember keeps what a revision registered. A file that cannot be written costs the next start some time.
func (h *Host) remember(r *revision, b *plugins.Bundle) {
	file := h.memoryFile(r.key, r.digest)
	if _, ok := summed.Read(file, maxMemoryBytes); ok {
		return
	}
	text, err := json.Marshal(memory{Manifest: b.ManifestText(), Message: r.message, Assets: r.assets != nil})
	if err == nil {
		err = summed.Write(file, text)
	}
	if err != nil {
		r.log.Debug("what it registered is not kept", "error", err)
	}
}

// recall makes a remembered revision serve, asleep. false means that it has to be loaded.
func (h *Host) recall(d *deployment, digest plugins.Digest) bool {
	file := h.memoryFile(d.key, digest)
	text, ok := summed.Read(file, maxMemoryBytes)
	if !ok {
		return false
	}
	var m memory
	if err := json.Unmarshal(text, &m); err != nil {
		return false
	}
	manifest, err := plugins.ParseManifest(plugins.ManifestName, m.Manifest)
	if err != nil {
		return false
	}
	r, err := h.newRevision(d, digest, manifest)
	if err != nil {
		return false
	}
	r.message, r.recalled = m.Message, m.Manifest
	if m.Assets {
		r.assets = &assets{rev: r, prefix: r.prefix + "/assets/"}
	}
	if manifest.Extism == nil && r.readRegistration(m.Message) != nil || r.buildMux() != nil {
		r.close()
		return false
	}
	if h.switchTo(r) != nil {
		r.close()
		return false
	}
	return true
}

// maxMemoryBytes bounds a remembered registration: a manifest and a message.
const maxMemoryBytes = 32 << 20
