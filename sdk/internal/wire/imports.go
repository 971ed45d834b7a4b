//go:build wasip1

package wire

import (
	"unsafe"

	"github.com/odac-run/odachost/abi"
)

//go:wasmimport odac:core/v1 input
//go:noescape
func coreInput(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

//go:wasmimport odac:core/v1 output
//go:noescape
func coreOutput(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

//go:wasmimport odac:core/v1 take
//go:noescape
func coreTake(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

//go:wasmimport odac:db/v1 query
//go:noescape
func dbQuery(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBQuery calls odac:db/v1.query.
func DBQuery(req []byte) ([]byte, abi.Errno) { return call(dbQuery, req) }

//go:wasmimport odac:db/v1 begin
//go:noescape
func dbBegin(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBBegin calls odac:db/v1.begin.
func DBBegin(req []byte) ([]byte, abi.Errno) { return call(dbBegin, req) }

//go:wasmimport odac:db/v1 commit
//go:noescape
func dbCommit(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBCommit calls odac:db/v1.commit.
func DBCommit(req []byte) ([]byte, abi.Errno) { return call(dbCommit, req) }

//go:wasmimport odac:db/v1 rollback
//go:noescape
func dbRollback(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBRollback calls odac:db/v1.rollback.
func DBRollback(req []byte) ([]byte, abi.Errno) { return call(dbRollback, req) }

//go:wasmimport odac:db/v1 batch
//go:noescape
func dbBatch(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBBatch calls odac:db/v1.batch.
func DBBatch(req []byte) ([]byte, abi.Errno) { return call(dbBatch, req) }

//go:wasmimport odac:db/v1 notify
//go:noescape
func dbNotify(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBNotify calls odac:db/v1.notify.
func DBNotify(req []byte) ([]byte, abi.Errno) { return call(dbNotify, req) }

//go:wasmimport odac:db/v1 open
//go:noescape
func dbOpen(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBOpen calls odac:db/v1.open.
func DBOpen(req []byte) ([]byte, abi.Errno) { return call(dbOpen, req) }

//go:wasmimport odac:db/v1 next
//go:noescape
func dbNext(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBNext calls odac:db/v1.next.
func DBNext(req []byte) ([]byte, abi.Errno) { return call(dbNext, req) }

//go:wasmimport odac:db/v1 free
//go:noescape
func dbFree(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// DBFree calls odac:db/v1.free.
func DBFree(req []byte) ([]byte, abi.Errno) { return call(dbFree, req) }

//go:wasmimport odac:cache/v1 query
//go:noescape
func cacheQuery(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// CacheQuery calls odac:cache/v1.query.
func CacheQuery(req []byte) ([]byte, abi.Errno) { return call(cacheQuery, req) }

//go:wasmimport odac:cache/v1 clear
//go:noescape
func cacheClear(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// CacheClear calls odac:cache/v1.clear.
func CacheClear(req []byte) ([]byte, abi.Errno) { return call(cacheClear, req) }

//go:wasmimport odac:buffer/v1 write
//go:noescape
func bufferWrite(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// BufferWrite calls odac:buffer/v1.write.
func BufferWrite(req []byte) ([]byte, abi.Errno) { return call(bufferWrite, req) }

//go:wasmimport odac:buffer/v1 flush
//go:noescape
func bufferFlush(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// BufferFlush calls odac:buffer/v1.flush.
func BufferFlush(req []byte) ([]byte, abi.Errno) { return call(bufferFlush, req) }

//go:wasmimport odac:ws/v1 send
//go:noescape
func socketSend(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketSend calls odac:ws/v1.send.
func SocketSend(req []byte) ([]byte, abi.Errno) { return call(socketSend, req) }

//go:wasmimport odac:ws/v1 broadcast
//go:noescape
func socketBroadcast(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketBroadcast calls odac:ws/v1.broadcast.
func SocketBroadcast(req []byte) ([]byte, abi.Errno) { return call(socketBroadcast, req) }

//go:wasmimport odac:ws/v1 join
//go:noescape
func socketJoin(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketJoin calls odac:ws/v1.join.
func SocketJoin(req []byte) ([]byte, abi.Errno) { return call(socketJoin, req) }

//go:wasmimport odac:ws/v1 leave
//go:noescape
func socketLeave(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketLeave calls odac:ws/v1.leave.
func SocketLeave(req []byte) ([]byte, abi.Errno) { return call(socketLeave, req) }

//go:wasmimport odac:ws/v1 count
//go:noescape
func socketCount(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketCount calls odac:ws/v1.count.
func SocketCount(req []byte) ([]byte, abi.Errno) { return call(socketCount, req) }

//go:wasmimport odac:ws/v1 close
//go:noescape
func socketClose(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketClose calls odac:ws/v1.close.
func SocketClose(req []byte) ([]byte, abi.Errno) { return call(socketClose, req) }

//go:wasmimport odac:ws/v1 data
//go:noescape
func socketData(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// SocketData calls odac:ws/v1.data.
func SocketData(req []byte) ([]byte, abi.Errno) { return call(socketData, req) }

//go:wasmimport odac:http/v1 fetch
//go:noescape
func httpFetch(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// HTTPFetch calls odac:http/v1.fetch.
func HTTPFetch(req []byte) ([]byte, abi.Errno) { return call(httpFetch, req) }
