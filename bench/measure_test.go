// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		s    series
		want time.Duration
	}{
		{nil, 0}, {series{5}, 5}, {series{9, 1, 5}, 5}, {series{4, 100, 2, 0}, 3},
	} {
		if got := c.s.median(); got != c.want {
			t.Errorf("median of %v: got %d, want %d", c.s, got, c.want)
		}
	}
}

// Contenders take turns; one that fails is out, with its reason, and the others
// go on.
func TestMeasureInTurn(t *testing.T) {
	var order strings.Builder
	runs := func(name string, err error) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			order.WriteString(name)
			return 1, err
		}
	}
	results, err := measure(4, []contender{
		{name: "a", run: runs("a", nil)},
		{name: "b", run: runs("b", nil), every: 2},
		{name: "c", run: runs("c", errors.New("no\nmore"))},
		{name: "d", run: runs("d", nil), every: 4},
		{name: "e", absent: "not installed"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "abc"+"abd"+"a"+"ab"+"a"; got != want {
		t.Errorf("order: got %s, want %s", got, want)
	}
	for i, want := range []struct {
		n      int
		absent string
	}{{4, ""}, {2, ""}, {0, "no"}, {1, ""}, {0, "not installed"}} {
		if r := results[i]; len(r.times) != want.n || r.absent != want.absent {
			t.Errorf("%s: got %d runs, absent %q; want %d, %q", r.name, len(r.times), r.absent, want.n, want.absent)
		}
	}
}

// The last quarter stands for the end where there are few.
func TestEdges(t *testing.T) {
	first, last, text := headCount{starts: series{2, 2, 5, 5, 5, 5, 6, 6}}.edges()
	if first != 2 || last != 6 || text != "3.00" {
		t.Errorf("got %d, %d, %s; want 2, 6, 3.00", first, last, text)
	}
}
