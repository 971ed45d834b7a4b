package odac

import "github.com/odac-run/odachost/sdk/internal/wire"

// Config is a key of the plugin's configuration: plugin.yaml's config, or what the operator put in its place. It is "" when
// there is none.
func Config(key string) string {
	value, _ := wire.Config(key)
	return value
}

// ConfigOr is [Config] with a default for a key that is missing or empty.
func ConfigOr(key, value string) string {
	if v, ok := wire.Config(key); ok && v != "" {
		return v
	}
	return value
}
