// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	known := []string{"debian:12", "debian:11", "alpine", "registry.example:5000/team/webserver:v1", "mini", "a"}
	for name, want := range map[string][]string{
		"debian":                              {"debian:12", "debian:11"},
		"debain:12":                           {"debian:12", "debian:11"},
		"debian:13":                           {"debian:12", "debian:11"},
		"alpin":                               {"alpine"},
		"aplnie":                              {"alpine"},
		"mnii":                                {"mini"},
		"registry.example:5000/team/webservr": {"registry.example:5000/team/webserver:v1"},
		"something-else":                      nil,
		"zzzz":                                nil,
	} {
		if got := Nearest(name, known); !slices.Equal(got, want) {
			t.Errorf("near %q: %q, want %q", name, got, want)
		}
	}
	if got := Nearest("x", nil); got != nil {
		t.Errorf("near nothing: %q", got)
	}
	if got := Nearest("name", []string{"name1", "name2", "name3", "name4"}); len(got) != maxSuggestions {
		t.Errorf("%d suggestions, want %d", len(got), maxSuggestions)
	}
}

// TestDistance checks what every distance has to be: 0 for the same only, the
// same both ways, no more than to type all anew, and 1 for one slip.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,8}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("distance(%q, %q) = %d, back %d", a, b, d, distance(b, a))
		}
		i := rapid.IntRange(0, len(a)).Draw(t, "i")
		if inserted := a[:i] + "x" + a[i:]; distance(a, inserted) != 1 {
			t.Fatalf("distance(%q, %q) = %d, want 1", a, inserted, distance(a, inserted))
		}
		if i+1 < len(a) && a[i] != a[i+1] {
			swapped := a[:i] + string(a[i+1]) + string(a[i]) + a[i+2:]
			if distance(a, swapped) != 1 {
				t.Fatalf("distance(%q, %q) = %d, want 1", a, swapped, distance(a, swapped))
			}
		}
	})
}

// TestNearestFindsSlips checks that one slip in a longer name is understood.
func TestNearestFindsSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{6,12}`).Draw(t, "name")
		i := rapid.IntRange(0, len(name)-1).Draw(t, "i")
		slip := name[:i] + name[i+1:]
		if got := Nearest(slip, []string{strings.Repeat("9", 20), name}); !slices.Contains(got, name) {
			t.Fatalf("near %q: %q, want %q", slip, got, name)
		}
	})
}
