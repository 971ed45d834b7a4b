// Package odacslog is odac's log as a logger of log/slog, for plugins that want its methods or use a library that wants one.
// It is a package of its own because log/slog makes a plugin larger by half a megabyte.
package odacslog
