package odac

import (
	"unsafe"

	"github.com/odac-run/odachost/abi"
)

// viewString views b as a string; b does not change any more.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func decodeRequest(r *abi.HTTPRequest, msg []byte) error { return decode(r, msg) }

func decodeSocket(e *abi.SocketEvent, msg []byte) error { return decode(e, msg) }

func decodeResult(msg []byte) (Result, error) {
	var r abi.Result
	if len(msg) == 0 {
		return Result{}, nil
	}
	if err := decode(&r, msg); err != nil {
		return Result{}, err
	}
	out := Result{Affected: r.Affected, LastID: r.LastID, Cached: r.Cached, Rows: make(Rows, len(r.Rows))}
	for i, row := range r.Rows {
		out.Rows[i] = Row{r.Columns, row}
	}
	return out, nil
}
