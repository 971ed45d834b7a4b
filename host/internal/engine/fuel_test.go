package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestFuel compares what calls use with what was counted by hand.
func TestFuel(t *testing.T) {
	var m wasmModule
	m.memory = []byte{0, 3}
	void, of := m.typ(nil, nil), m.typ([]byte{I32}, nil)
	m.fn("nothing", void, 0)
	m.fn("three", void, 0, 0x41, 1, 0x41, 2, 0x6a, 0x1a)                                            // two constants, add, drop, end
	m.fn("loop", of, 0, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b)                 // five a round
	m.fn("if", of, 0, 0x20, 0, 0x04, 0x40, 0x41, 1, 0x1a, 0x05, 0x01, 0x0b, 0x41, 1, 0x1a)          // get, if; two more if it is so; two
	m.fn("block", of, 0, 0x02, 0x40, 0x20, 0, 0x0d, 0, 0x41, 1, 0x1a, 0x0b, 0x41, 1, 0x1a)          // get, br_if; two more if not; two
	m.fn("table", of, 0, 0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x41, 1, 0x1a, 0x0b) // get, br_table; two if 0
	m.fn("call", void, 0, 0x10, 1, 0x10, 1)
	m.fn("trap", of, 0, 0x20, 0, 0x04, 0x40, 0x00, 0x0b, 0x41, 1, 0x1a) // get, if; unreachable, or two
	m.fn("divide", of, 0, 0x41, 1, 0x20, 0, 0x6d, 0x1a)                 // trap or not, the block was entered
	m.fn("fill", of, 0, 0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 11, 0)
	m.fn("early", of, 0, 0x20, 0, 0x04, 0x40, 0x0f, 0x0b, 0x41, 1, 0x1a) // get, if; return, or two
	wasm := m.bytes()
	for _, interpreter := range []bool{false, true} {
		in := newInstance(t, load(t, newEngine(t, Config{Interpreter: interpreter}), wasm, LoadConfig{Fuel: -1}))
		for _, c := range []struct {
			export string
			args   []uint64
			want   int64
		}{
			{"nothing", nil, 1},
			{"three", nil, 5},
			{"loop", []uint64{1}, 7},
			{"loop", []uint64{1_000_000}, 5_000_002},
			{"if", []uint64{0}, 6},
			{"if", []uint64{1}, 7},
			{"block", []uint64{0}, 8},
			{"block", []uint64{1}, 5},
			{"table", []uint64{0}, 7},
			{"table", []uint64{1}, 4},
			{"call", nil, 19},
			{"trap", []uint64{0}, 5},
			{"trap", []uint64{1}, 3},
			{"divide", []uint64{0}, 8},
			{"divide", []uint64{1}, 8},
			{"fill", []uint64{8}, 132},
			{"early", []uint64{0}, 5},
			{"early", []uint64{1}, 3},
		} {
			_, err := in.Call(t.Context(), nil, time.Time{}, c.export, c.args...)
			var trap *TrapError
			if err != nil && !errors.As(err, &trap) {
				t.Fatal(err)
			}
			if got := in.FuelUsed(); got != c.want {
				t.Errorf("interpreter %v: %s(%d) used %d, want %d", interpreter, c.export, c.args, got, c.want)
			}
			if err := in.Reset(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOutOfFuel says that a call ends at the same place whatever ran before it, and that the limit holds.
func TestOutOfFuel(t *testing.T) {
	var m wasmModule
	m.globals = [][]byte{{I32, 1, 0x41, 0, 0x0b}}
	of, answer := m.typ([]byte{I32}, nil), m.typ(nil, []byte{I32})
	m.fn("rounds", of, 0, 0x03, 0x40, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b) // nine a round
	m.fn("count", answer, 0, 0x23, 0)
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Fuel: 900_000})
	in := newInstance(t, p)
	for _, before := range []uint64{1, 7, 99_999} {
		if _, err := in.Call(t.Context(), nil, time.Time{}, "rounds", before); err != nil {
			t.Fatal(err)
		}
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Call(t.Context(), nil, time.Time{}, "rounds", 1_000_000); !errors.Is(err, ErrFuel) {
			t.Fatalf("error is %v, want ErrFuel", err)
		}
		if used := in.FuelUsed(); used <= 900_000 || used > 900_020 {
			t.Errorf("used %d of 900000", used)
		}
		in.state.Store(ready) // to look at what it left
		if n := call(t, in, "count"); n != 100_001 {
			t.Errorf("after %d rounds before: ended in round %d", before, n)
		}
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if used := in.FuelUsed(); used != 2 {
		t.Errorf("count used %d", used)
	}
	in = newInstance(t, load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{}))
	if call(t, in, "count"); in.FuelUsed() != 0 {
		t.Error("fuel is counted although it is off")
	}
}

// TestFuelOfGenerated says that compiler and interpreter count the same in generated modules, traps included.
func TestFuelOfGenerated(t *testing.T) {
	compiler, interpreter := newEngine(t, Config{}), newEngine(t, Config{Interpreter: true})
	for seed := range uint64(40) {
		wasm := generate(seed, 99)
		var used [2]string
		for i, e := range []*Engine{compiler, interpreter} {
			in := newInstance(t, load(t, e, wasm, LoadConfig{Fuel: -1}))
			for fn := range genFuncs {
				_, err := in.Call(t.Context(), nil, time.Time{}, fmt.Sprint("f", fn), 77)
				used[i] += fmt.Sprintln(in.FuelUsed(), err)
				if err := in.Reset(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if used[0] != used[1] {
			t.Errorf("seed %d: compiler %s\ninterpreter %s", seed, used[0], used[1])
		}
	}
}
