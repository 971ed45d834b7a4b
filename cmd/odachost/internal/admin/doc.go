// Package admin is how commands reach a host: HTTP with JSON over a Unix socket in the data folder, which only the
// folder's owner may open. Where no host runs, the command starts one on the folder for as long as it
// takes and talks to it in the same way, so that a command is written once.
package admin
