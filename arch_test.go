// SPDX-License-Identifier: Apache-2.0

// The architecture as a test: which package may import which, that each says
// what it is, and what must not be linked into the program that starts
// containers. Changing a table here is a commit of its own that says why.
package strata_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// may lists what each package may import of ours. A package stands on a floor
// above those it imports; the order here is from the machine up.
var may = map[string][]string{
	// machine
	"internal/linux":    {},
	"internal/fault":    {},
	"internal/spelling": {},
	"internal/cli":      {},
	"internal/keys":     {},
	"internal/durable":  {"internal/linux"},
	"internal/mount":    {"internal/linux"},
	"internal/spawn":    {},
	"internal/rootless": {"internal/linux", "internal/spawn"},

	// formats
	"internal/oci":         {},
	"internal/compression": {},
	"internal/overlay":     {"internal/linux", "internal/mount"},
	"internal/layer":       {"internal/linux", "internal/oci", "internal/overlay"},
	"internal/archive":     {"internal/oci"},
	"internal/mini":        {},
	"internal/seccomp":     {},

	// stores
	"internal/store":    {"internal/durable", "internal/fault", "internal/layer", "internal/linux", "internal/oci", "internal/overlay"},
	"internal/image":    {"internal/durable", "internal/fault", "internal/linux", "internal/oci", "internal/spelling"},
	"internal/registry": {"internal/oci"},

	// runtime
	"internal/cgroup":    {"internal/linux"},
	"internal/sandbox":   {"internal/cgroup", "internal/linux", "internal/mount", "internal/seccomp", "internal/spawn"},
	"internal/container": {"internal/durable", "internal/fault", "internal/linux", "internal/oci", "internal/spelling"},

	// use cases
	"internal/engine": {
		"internal/cgroup", "internal/container", "internal/durable", "internal/fault", "internal/image", "internal/layer", "internal/linux", "internal/mini", "internal/mount",
		"internal/oci", "internal/overlay", "internal/sandbox", "internal/seccomp", "internal/spawn", "internal/spelling", "internal/store",
	},

	// faces
	"cmd/strata": {
		"internal/cli", "internal/container", "internal/engine", "internal/fault", "internal/image", "internal/keys", "internal/linux", "internal/oci", "internal/overlay", "internal/rootless", "internal/spawn", "internal/store",
	},
	"cmd/strata-remote": {"internal/archive", "internal/cli", "internal/compression", "internal/engine", "internal/image", "internal/oci", "internal/registry", "internal/rootless"},

	// for tests only
	"internal/tree":    {"internal/linux", "internal/overlay"},
	"internal/hostile": {"internal/tree"},
	"internal/leak":    {},

	"internal/dockerregistry": {},
	"internal/disk":           {},

	// writes what package seccomp embeds
	"internal/seccomp/generate": {"internal/seccomp"},

	// measure the programs from outside
	"bench":       {},
	"bench/empty": {},
	"bench/hello": {},

	// runs the tests in a virtual machine
	"vm": {},
}

// testOnly may be imported by tests alone.
var testOnly = []string{"internal/tree", "internal/leak", "internal/disk", "internal/dockerregistry", "internal/hostile"}

// heavy must not be linked into cmd/strata: their initialisation costs time at
// every start (see ARCHITECTURE.md), or they have no business there.
var heavy = []string{
	"net", "regexp", "text/template", "github.com/spf13/cobra",
	"net/http", "crypto/tls", "html/template", "github.com/klauspost/compress/zstd", "github.com/klauspost/compress/s2", "github.com/klauspost/compress/flate",
	"github.com/opencontainers/go-digest", "github.com/opencontainers/image-spec", "github.com/distribution/reference",
}

const module = "strata/"

func TestImports(t *testing.T) {
	for dir, files := range packages(t) {
		allowed, known := may[dir]
		if !known {
			t.Errorf("%s is not in the table of arch_test.go", dir)
			continue
		}
		for _, f := range files {
			for _, imported := range f.Imports {
				path, ours := strings.CutPrefix(strings.Trim(imported.Path.Value, `"`), module)
				if !ours {
					continue
				}
				if !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s, which its floor does not allow", dir, path)
				}
				if slices.Contains(testOnly, path) && !slices.Contains(testOnly, dir) {
					t.Errorf("%s imports %s, which is for tests", dir, path)
				}
			}
		}
	}
}

// A table that allows a cycle would allow anything.
func TestTableHasFloors(t *testing.T) {
	var visit func(dir string, path []string)
	visit = func(dir string, path []string) {
		if slices.Contains(path, dir) {
			t.Fatalf("the table has a cycle: %s", strings.Join(append(path, dir), " -> "))
		}
		for _, below := range may[dir] {
			visit(below, append(slices.Clone(path), dir))
		}
	}
	for dir := range may {
		visit(dir, nil)
	}
}

func TestPackageComments(t *testing.T) {
	for dir, files := range packages(t) {
		var documented []string
		for name, f := range files {
			if f.Doc != nil && len(f.Doc.Text()) > 0 {
				documented = append(documented, filepath.Base(name))
			}
		}
		want := filepath.Base(dir) + ".go"
		if strings.HasPrefix(dir, "cmd/") {
			want = "main.go"
		}
		if len(documented) != 1 || documented[0] != want {
			t.Errorf("%s: package comments in %v, want one in %s", dir, documented, want)
		}
	}
}

func TestStartPathIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/strata").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if slices.Contains(heavy, dep) {
			t.Errorf("cmd/strata links %s; it belongs in cmd/strata-remote", dep)
		}
	}
}

// packages parses the files of every package that are not tests.
func packages(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	found := map[string]map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "mini" || path != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir // a module of its own; not ours
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if found[dir] == nil {
			found[dir] = map[string]*ast.File{}
		}
		found[dir][path] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
