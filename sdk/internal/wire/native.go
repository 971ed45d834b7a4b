//go:build !wasip1

package wire

import (
	"crypto/rand"
	"os"

	"github.com/odac-run/odachost/abi"
)

func function(module, name string) Func {
	return func(req []byte) ([]byte, abi.Errno) {
		if Current == nil {
			return []byte(module + " " + name + " was called without a host: use package odactest"), abi.ErrnoDenied
		}
		return Current.Call(module, name, req)
	}
}

// The host functions.
var (
	DBQuery         = function(abi.ModuleDB, abi.FuncQuery)
	DBBegin         = function(abi.ModuleDB, abi.FuncBegin)
	DBCommit        = function(abi.ModuleDB, abi.FuncCommit)
	DBRollback      = function(abi.ModuleDB, abi.FuncRollback)
	DBBatch         = function(abi.ModuleDB, abi.FuncBatch)
	DBOpen          = function(abi.ModuleDB, abi.FuncOpen)
	DBNext          = function(abi.ModuleDB, abi.FuncNext)
	DBFree          = function(abi.ModuleDB, abi.FuncFree)
	DBNotify        = function(abi.ModuleDB, abi.FuncNotify)
	CacheQuery      = function(abi.ModuleCache, abi.FuncCachedQuery)
	CacheClear      = function(abi.ModuleCache, abi.FuncCacheClear)
	BufferWrite     = function(abi.ModuleBuffer, abi.FuncBufferWrite)
	BufferFlush     = function(abi.ModuleBuffer, abi.FuncBufferFlush)
	SocketSend      = function(abi.ModuleWS, abi.FuncSend)
	SocketBroadcast = function(abi.ModuleWS, abi.FuncBroadcast)
	SocketJoin      = function(abi.ModuleWS, abi.FuncJoin)
	SocketLeave     = function(abi.ModuleWS, abi.FuncLeave)
	SocketCount     = function(abi.ModuleWS, abi.FuncCount)
	SocketClose     = function(abi.ModuleWS, abi.FuncClose)
	SocketData      = function(abi.ModuleWS, abi.FuncData)
	HTTPFetch       = function(abi.ModuleHTTP, abi.FuncFetch)
)

// Config is a key of the plugin's configuration.
func Config(key string) (string, bool) {
	if Current == nil {
		return "", false
	}
	return Current.Config(key)
}

// Log writes a line to the host's log.
func Log(level LogLevel, line string) {
	if Current != nil {
		Current.Log(level, line)
	}
}

// Stderr writes a line to standard error, which the host logs.
func Stderr(line string) {
	if Current != nil {
		Current.Log(LogError, line)
		return
	}
	_, _ = os.Stderr.WriteString(line + "\n") // nowhere else to say that it failed
}

// Random fills b with the host's randomness.
func Random(b []byte) { _, _ = rand.Read(b) } // never fails

// Yield lets the runtime work.
func Yield() {}
