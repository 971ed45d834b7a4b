package engine

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// fuel counts what a call uses: all that was granted to the guest, less what is left of it.
type fuel struct {
	// balances are the counters of metered modules; none if fuel is not counted.
	balances []api.MutableGlobal
	limit    int64 // 0 if there is none
	granted  int64
	used     int64
}

// count adds a metered module.
func (f *fuel) count(m api.Module) {
	f.balances = append(f.balances, m.ExportedGlobal(instrument.BalanceExport).(api.MutableGlobal))
}

// begin grants the call its first units. limit is at least 1, or 0 for none.
func (f *fuel) begin(limit int64) {
	if len(f.balances) == 0 {
		return
	}
	f.limit = limit
	f.granted = f.next(0)
	f.balances[0].Set(uint64(f.granted))
	for _, b := range f.balances[1:] {
		b.Set(0)
	}
}

// next is what to grant when so much was used.
func (f *fuel) next(used int64) int64 {
	if f.limit == 0 {
		return instrument.Budget
	}
	return min(instrument.Budget, f.limit-used)
}

func (f *fuel) left() (n int64) {
	for _, b := range f.balances {
		n += int64(int32(uint32(b.Get())))
	}
	return n
}

// tick answers the balance that a module whose balance is spent shall have.
func (f *fuel) tick(balance int32) int32 {
	if len(f.balances) == 0 {
		return instrument.Budget
	}
	used := f.granted - f.left()
	if f.limit != 0 && used > f.limit {
		panic(&ending{ErrFuel})
	}
	next := f.next(used)
	f.granted += next - int64(balance)
	return int32(next)
}

func (f *fuel) end() {
	if len(f.balances) != 0 {
		f.used = f.granted - f.left()
	}
}

// FuelUsed is what the last call used, whether it succeeded or failed; 0 if [LoadConfig.Fuel] is 0. It must not be asked
// for while a call runs.
func (in *Instance) FuelUsed() int64 { return in.fuel.used }

// The stack of a guest's calls is not in its memory. wazero doubles it as needed, up to 100 MB.
const (
	// maxStackBytes is how large it may be when the guest's budget is spent. It doubles at most once or twice more in one budget.
	maxStackBytes = 8 << 20
	// keepStackBytes is how large it may stay when a call ends.
	keepStackBytes = 256 << 10
)

// stackOf finds the stack in wazero's api.Function, which does not show it: [TestStack] says whether it still does.
func stackOf(f api.Function) reflect.Value {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	if s := v.Elem().FieldByName("stack"); s.Kind() == reflect.Slice {
		return s
	}
	return reflect.Value{}
}

// stackBytes is how large the stack of the function's calls is, 0 if that cannot be told.
func (f *function) stackBytes() int {
	if !f.native.IsValid() {
		return 0
	}
	return f.native.Cap() * int(f.native.Type().Elem().Size())
}
