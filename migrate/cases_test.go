package migrate

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that testdata/README.md names is there, and each script is named.
func TestCases(t *testing.T) {
	readme, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	tests, _ := filepath.Glob("*_test.go")
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([^`*]+[a-zA-Z])`").FindAllStringSubmatch(string(readme), -1) {
		name := m[1]
		named[filepath.Join("testdata", name)] = true
		switch _, err := os.Stat(filepath.Join("testdata", name)); {
		case strings.HasSuffix(name, ".txtar") && err != nil:
			t.Errorf("there is no script %s", name)
		case strings.HasPrefix(name, "Test") && !strings.Contains(source.String(), "func "+name+"("):
			t.Errorf("there is no test %s", name)
		}
	}
	for _, pattern := range []string{"testdata/*.txtar", "testdata/*/*.txtar"} {
		scripts, _ := filepath.Glob(pattern)
		for _, script := range scripts {
			if !named[script] {
				t.Errorf("testdata/README.md does not name %s", script)
			}
		}
	}
}
