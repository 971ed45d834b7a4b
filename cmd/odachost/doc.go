// Command odachost is the product's one binary: it serves plugins, and makes, builds, deploys and rolls them back.
// The commands are in internal/cli, one file each; what they talk to a running host through is internal/admin; the
// configuration's keys are internal/config.
package main
