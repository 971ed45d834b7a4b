// A plugin made with Extism's Go PDK and nothing else. The same in other languages is in pdkc and pdkas.
package main

import (
	"os"
	"strconv"

	pdk "github.com/extism/go-pdk"
)

func main() {}

var calls int // survives where memory does

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

//go:wasmexport fail
func fail() int32 {
	pdk.OutputString("not to be seen")
	pdk.SetErrorString("failed with " + pdk.InputString())
	return 3
}

//go:wasmexport complain
func complain() int32 {
	pdk.SetErrorString("complaint")
	return 0
}

//go:wasmexport code
func code() int32 {
	n, _ := strconv.Atoi(pdk.InputString())
	return int32(n)
}

//go:wasmexport config
func config() int32 {
	value, ok := pdk.GetConfig(pdk.InputString())
	pdk.OutputString(value + " " + strconv.FormatBool(ok))
	return 0
}

//go:wasmexport count
func count() int32 {
	n := pdk.GetVarInt("n") + 1
	pdk.SetVarInt("n", n)
	pdk.OutputString(strconv.Itoa(n))
	return 0
}

//go:wasmexport forget
func forget() int32 {
	pdk.RemoveVar("n")
	return 0
}

//go:wasmexport hoard
func hoard() int32 {
	n, _ := strconv.Atoi(pdk.InputString())
	pdk.SetVar("hoard", make([]byte, n))
	return 0
}

//go:wasmexport remember
func remember() int32 {
	calls++
	pdk.OutputString(strconv.Itoa(calls))
	return 0
}

//go:wasmexport log
func log() int32 {
	pdk.Log(pdk.LogDebug, "debug "+pdk.InputString())
	pdk.Log(pdk.LogWarn, "warn "+pdk.InputString())
	return 0
}

//go:wasmexport http
func http() int32 {
	r := pdk.NewHTTPRequest(pdk.MethodPost, pdk.InputString())
	r.SetHeader("X-Asked", "yes")
	r.SetBody([]byte("body"))
	res := r.Send()
	pdk.OutputString(strconv.Itoa(int(res.Status())) + " " + res.Headers()["x-answered"] + " " + string(res.Body()))
	return 0
}

//go:wasmexport spin
func spin() int32 {
	for {
	}
}

//go:wasmexport trap
func trap() int32 {
	panic("deliberate")
}

//go:wasmexport exit
func exit() int32 {
	n, _ := strconv.Atoi(pdk.InputString())
	pdk.OutputString("last words")
	os.Exit(n)
	return 0
}

//go:wasmexport file
func file() int32 {
	name := pdk.InputString()
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, []byte("changed"), 0o600)
		pdk.OutputString(string(data) + " " + strconv.FormatBool(err == nil))
		return 0
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		pdk.SetError(err)
		return 1
	}
	list := ""
	for _, e := range entries {
		list += e.Name() + " "
	}
	pdk.OutputString(list)
	return 0
}

//go:wasmexport leak
func leak() int32 {
	for n := 0; ; n++ {
		if _, err := os.Open(pdk.InputString()); err != nil || n > 1000 {
			pdk.OutputString(strconv.Itoa(n))
			return 0
		}
	}
}

//go:wasmexport params
func params(int32) int32 { return 0 }

// fill holds many blocks at once and gives others back.
//
//go:wasmexport fill
func fill() int32 {
	n, _ := strconv.Atoi(pdk.InputString())
	for range n {
		m := pdk.Allocate(64 << 10)
		m.Free()
	}
	a, b := pdk.AllocateString("aaaa"), pdk.AllocateString("bbbb")
	pdk.OutputString(string(a.ReadBytes()) + string(b.ReadBytes()))
	return 0
}
