// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/container"
	"strata/internal/seccomp"
)

const profile = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
	{"names":["mount"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}}]}`

func recordWith(profile string, add ...string) *container.Record {
	r := &container.Record{}
	r.Host.Seccomp, r.Host.CapAdd = profile, add
	return r
}

func openStore(t testing.TB) *Engine {
	t.Helper()
	e, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func keptFilters(t *testing.T, e *Engine) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(e.root, seccompDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestFilterIsKept(t *testing.T) {
	e := openStore(t)
	for i, r := range []*container.Record{
		recordWith(profile), recordWith(profile, "CAP_SYS_ADMIN"), recordWith(profile + " "), recordWith("", "CAP_BPF"),
	} {
		first, err := e.filter(r)
		if err != nil {
			t.Fatal(err)
		}
		kept := keptFilters(t, e)
		if len(kept) != i+1 {
			t.Fatalf("%d files after profile %d", len(kept), i)
		}
		e.found = nil
		again, err := e.filter(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("profile %d, made (-) and kept (+):\n%s", i, diff)
		}
	}
	if err := e.dropFilters(); err != nil || len(keptFilters(t, e)) != 0 {
		t.Errorf("not dropped: %v", err)
	}
}

// TestFilterIsNotParsed puts another filter in the place of the kept one, which
// is then taken without a look at the profile; a damaged one is made again.
func TestFilterIsNotParsed(t *testing.T) {
	e := openStore(t)
	r := recordWith(profile)
	made, err := e.filter(r)
	if err != nil {
		t.Fatal(err)
	}
	path := keptFilters(t, e)[0]
	marked := &seccomp.Filter{Flags: 2, Program: []byte("in place")}
	if err := os.WriteFile(path, marked.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	e.found = nil
	if f, err := e.filter(r); err != nil || !cmp.Equal(f, marked) {
		t.Errorf("got %v, %v", f, err)
	}
	for _, damage := range []string{"", "rubbish", string(made.Marshal()[:100])} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		e.found = nil
		if f, err := e.filter(r); err != nil || !cmp.Equal(f, made) {
			t.Errorf("%.10q: got %v, %v", damage, f, err)
		}
		if data, err := os.ReadFile(path); err != nil || !slices.Equal(data, made.Marshal()) {
			t.Errorf("%.10q: not written again: %v", damage, err)
		}
	}
}

func TestWhoHasAFilter(t *testing.T) {
	e := openStore(t)
	privileged := recordWith("")
	privileged.Host.Privileged = true
	askedFor := recordWith(container.SeccompBuiltin)
	askedFor.Host.Privileged = true
	for _, c := range []struct {
		name string
		r    *container.Record
		has  bool
	}{
		{"the usual", recordWith(""), true}, {"builtin", recordWith(container.SeccompBuiltin), true}, {"unconfined", recordWith(container.SeccompUnconfined), false},
		{"privileged", privileged, false}, {"privileged with builtin", askedFor, true}, {"a profile", recordWith(profile), true},
	} {
		if f, err := e.filter(c.r); err != nil || (f != nil) != c.has {
			t.Errorf("%s: %v, %v", c.name, f != nil, err)
		}
	}
}

// BenchmarkFilter is what finding a filter costs a start.
func BenchmarkFilter(b *testing.B) {
	e := openStore(b)
	for _, c := range []struct {
		name string
		r    *container.Record
	}{{"usual", recordWith("")}, {"kept", recordWith(seccomp.Builtin() + " ")}, {"kept-builtin", recordWith("", "CAP_BPF")}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				e.found = nil
				if _, err := e.filter(c.r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("compiled", func(b *testing.B) {
		target, err := filterTarget(recordWith(""))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := compileFilter(seccomp.Builtin(), target); err != nil {
				b.Fatal(err)
			}
		}
	})
}
