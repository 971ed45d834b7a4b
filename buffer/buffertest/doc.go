// Package buffertest is the conformance suite of buffer.Target: a database is done when [TestTarget] passes.
package buffertest
