// Package config is the operator's configuration: every key with its type, default and meaning in one place, the
// struct [Config], and read in layers, each over the one before: defaults, the file, the environment (ODAC_...), flags.
// An unknown key or a bad value is an error that names the key as it was written, and where: file and line, variable or
// flag. docs/config.md is generated from it.
package config

//go:generate go test . -run ^TestReference$ -update
