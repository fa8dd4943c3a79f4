// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/expand"
)

// TestState: a subshell's state survives the way through the file.
func TestState(t *testing.T) {
	s := New("name")
	s.params = []string{"a b", "", "\xff"}
	s.vars = map[string]expand.Variable{
		"X": {Set: true, Kind: expand.String, Str: "x\ny", Exported: true},
		"R": {Set: true, Kind: expand.String, Str: "'", ReadOnly: true},
		"U": {Kind: expand.String, Exported: true},
	}
	s.opts = options{errexit: true, nounset: true, pipefail: true}
	s.status, s.background, s.tested, s.returning = 3, 77, 2, 1
	s.runText("f() { echo \"$1\" <<E\nhere\nE\n}", false)
	s.status = 3
	file, err := parser().Parse(strings.NewReader("f 1 | cat; (exit 2)"), "")
	if err != nil {
		t.Fatal(err)
	}
	state, err := s.encode(file.Stmts)
	if err != nil {
		t.Fatal(err)
	}
	got := New("other")
	got.vars = map[string]expand.Variable{}
	program, err := got.decode(&decoder{rest: state})
	if err != nil {
		t.Fatal(err)
	}
	if want := "f 1 | cat\n(exit 2)\n"; program != want {
		t.Errorf("program: got %q, want %q", program, want)
	}
	if got.name != "name" || got.pid != s.pid || got.background != 77 || got.tested != 1 || got.returning != 1 || got.opts != s.opts {
		t.Errorf("got %+v, want what was in %+v", got, s)
	}
	if diff := cmp.Diff(s.params, got.params); diff != "" {
		t.Error("params: -want +got\n", diff)
	}
	if diff := cmp.Diff(s.vars, got.vars); diff != "" {
		t.Error("variables: -want +got\n", diff)
	}
	if got.funcs["f"] == nil {
		t.Error("the function is lost")
	}
}

func TestStateCutShort(t *testing.T) {
	s := New("name")
	state, err := s.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(state) {
		if _, err := New("x").decode(&decoder{rest: state[:n]}); err == nil {
			t.Fatalf("the first %d of %d bytes: no error", n, len(state))
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"a*", "abc", true}, {"a*", "ba", false}, {"?", "é", true}, {"[a-c]x", "bx", true}, {"[!a]", "a", false},
		{`\*`, "*", true}, {`\*`, "x", false}, {"", "", true}, {"*", "a\nb", true}, {"a", "ab", false},
	} {
		if got := matches(c.pattern, c.value); got != c.want {
			t.Errorf("matches(%q, %q): got %v", c.pattern, c.value, got)
		}
	}
}
