// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"debian:12", "debian:11", "nginx", "web-1", "web-2", "a-long-name-of-many-parts"}
	for name, want := range map[string][]string{
		"debain":                    {"debian:12", "debian:11"},
		"ngnix":                     {"nginx"},
		"wbe-1":                     {"web-1"},
		"a-long-nmae-of-many-prats": {"a-long-name-of-many-parts"},
		"entirely-other":            nil,
		"":                          nil,
	} {
		got := Nearest(name, known)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNearestIsShort(t *testing.T) {
	if got := Nearest("web", []string{"web1", "web2", "web3", "web4", "web5"}); len(got) != maxSuggestions {
		t.Errorf("%d suggestions, want %d", len(got), maxSuggestions)
	}
}

func TestQuestion(t *testing.T) {
	for want, nearest := range map[string][]string{
		"": nil, "; did you mean a?": {"a"}, "; did you mean a or b?": {"a", "b"},
	} {
		if got := Question(nearest); got != want {
			t.Errorf("Question(%q) = %q, want %q", nearest, got, want)
		}
	}
}
