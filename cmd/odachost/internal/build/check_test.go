package build

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\n")
	write(t, filepath.Join(dir, "go.mod"), "module example.org/x\n\ngo 1.25\n")
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	"math/rand"
	dice "math/rand/v2"

	"example.org/x/inner"
)

func main() {
	own := rand.New(rand.NewSource(1))
	_ = own.Intn(6)
	_ = rand.Intn(6)
	dice.Shuffle(2, func(int, int) {})
	var seeded *dice.Rand = dice.New(dice.NewPCG(1, 2))
	_ = seeded.IntN(6)
	f := dice.N[int]
	_ = f(inner.Roll())
	{
		rand := own
		_ = rand.Intn(6)
	}
}
`)
	write(t, filepath.Join(dir, "inner", "inner.go"), "package inner\n\nimport . \"crypto/rand\"\nimport \"math/rand\"\n\nvar _ = Reader\n\nfunc Roll() int { return int(rand.Int63()) }\n")
	write(t, filepath.Join(dir, "other_test.go"), "package main\n\nimport \"math/rand\"\n\nvar _ = rand.Int()\n")
	got, err := Check(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, line := range got {
		place, _, _ := strings.Cut(line, " draws")
		if !strings.Contains(line, "odac.Rand().") {
			t.Errorf("no way out in %q", line)
		}
		places = append(places, place)
	}
	slices.Sort(places)
	want := []string{"inner/inner.go:8: rand.Int63", "main.go:13: rand.Intn", "main.go:14: dice.Shuffle", "main.go:17: dice.N"}
	if !slices.Equal(places, want) {
		t.Errorf("got  %q\nwant %q", places, want)
	}
	for _, how := range []string{"build: [make]", "extism: true"} {
		write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\n"+how+"\n")
		if got, err := Check(t.Context(), dir); got != nil || err != nil {
			t.Errorf("%s, not built by Go: %q, %v", how, got, err)
		}
	}
	write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \"example.org/missing\"\n\nfunc main() {}\n")
	if _, err := Check(t.Context(), dir); err == nil {
		t.Error("a package that is not there is no error")
	}
}
