// Package jsschema reads the schema files of odac.js, which are JavaScript, and turns them into the schema files of package migrate.
//
// A file is a program: it is run by an interpreter that has no file, no network, no require and no clock to wait on, and that is
// stopped after [Options.Time]. What it assigned to module.exports is then written as YAML and read again by package migrate, so
// that what comes out is what LoadFS accepts. What has no counterpart is refused with the file and the line of the key.
package jsschema
