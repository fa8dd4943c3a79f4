// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// together runs n commands at once and returns what each left.
func together(p *place, n int, args func(i int) []string) []result {
	results := make([]result, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i] = p.finish(p.command(args(i)...)) })
	}
	wg.Wait()
	return results
}

func TestParallelRuns(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	for i, r := range together(p, 20, func(i int) []string {
		return []string{"run", "--rm", "bb", "sh", "-c", fmt.Sprintf("echo %d > /x; cat /x; exit %d", i, i)}
	}) {
		if r.code != i || r.stdout != fmt.Sprintln(i) || r.stderr != "" {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	if left := p.containers(); len(left) > 0 {
		t.Errorf("containers left: %q", left)
	}
	p.works()
}

// TestParallelFirstUse makes the store by many commands at once.
func TestParallelFirstUse(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	ids := map[string]bool{}
	p.env = append(p.env, "SOURCE_DATE_EPOCH=1000000000")
	for i, r := range together(p, 8, func(i int) []string {
		return []string{"import", os.Getenv(rootfsEnv) + ".tar", fmt.Sprintf("bb:%d", i%2)}
	}) {
		if r.code != 0 || r.stderr != "" {
			t.Errorf("import %d: %+v", i, r)
		}
		ids[r.stdout] = true
	}
	layers, err := os.ReadDir(p.root + "/layers")
	if err != nil || len(layers) != 1 {
		t.Errorf("%d layers (%v) of one archive, want 1", len(layers), err)
	}
	if left := halfDone(p.root); len(left) > 0 {
		t.Errorf("half-done: %q", left)
	}
	p.must("run", "--rm", "bb:0", "true")
	p.must("run", "--rm", "bb:1", "true")
	p.works()
}

// TestParallelOneName gives one name to many: one gets it.
func TestParallelOneName(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	for range 3 {
		won := 0
		for i, r := range together(p, 8, func(i int) []string { return []string{"create", "--name", "wanted", "bb", "true"} }) {
			switch {
			case r.code == 0:
				won++
			case r.code != 1 || notOneLine(r.stderr) != "" || !strings.Contains(r.stderr, "in use"):
				t.Errorf("create %d: %+v", i, r)
			}
		}
		if won != 1 || len(p.containers()) != 1 {
			t.Errorf("%d commands got the name, %d containers, want 1", won, len(p.containers()))
		}
		p.must("rm", "wanted")
	}
	p.works()
}

// TestParallelOneContainer starts, commits and removes one container at once.
// Each either succeeds or says in one line why not, and what was committed is
// whole.
func TestParallelOneContainer(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	expected := regexp.MustCompile(`in use by another|no such container|was removed|running|no such file`)
	for round := range 6 {
		p.must("create", "--name", "one", "bb", "sh", "-c", "echo x >> /x")
		p.must("start", "-a", "one")
		verbs := []func(i int) []string{
			func(i int) []string { return []string{"commit", "one", fmt.Sprintf("img%d:%d", round, i)} },
			func(i int) []string { return []string{"start", "-a", "one"} },
			func(i int) []string { return []string{"rm", "one"} },
			func(i int) []string { return []string{"diff", "one"} },
			func(i int) []string { return []string{"gc", "-q"} },
			func(i int) []string { return []string{"export", "-o", fmt.Sprintf("out%d.tar", i), "one"} },
		}
		for i, r := range together(p, 12, func(i int) []string { return verbs[i%len(verbs)](i) }) {
			what := strings.Join(verbs[i%len(verbs)](i), " ")
			if r.code != 0 && (notOneLine(r.stderr) != "" || !expected.MatchString(r.stderr)) {
				t.Errorf("strata %s: %+v", what, r)
			}
		}
		p.must("rm", "-f", "one")
		for image := range strings.FieldsSeq(p.must("images", "-q")) {
			p.must("run", "--rm", image, "sh", "-c", "test ! -e /x || grep -q x /x")
		}
	}
	p.works()
}

// TestParallelCollection collects while images and containers are made.
func TestParallelCollection(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	verbs := [][]string{
		{"gc", "-q"}, {"import", os.Getenv(rootfsEnv) + ".tar", "again"}, {"run", "--rm", "bb", "true"},
		{"run", "--rm", "--name", "NAME", "bb", "touch", "/x"}, {"create", "--name", "NAME", "bb", "true"},
	}
	for range 3 {
		for i, r := range together(p, 15, func(i int) []string {
			args := slices.Clone(verbs[i%len(verbs)])
			if at := slices.Index(args, "NAME"); at >= 0 {
				args[at] = fmt.Sprintf("name%d", i)
			}
			return args
		}) {
			if r.code != 0 {
				t.Errorf("strata %v: %+v", verbs[i%len(verbs)], r)
			}
		}
		for id := range strings.FieldsSeq(p.must("ps", "-aq")) {
			p.must("start", "-a", id)
			p.must("rm", id)
		}
	}
	p.works()
}

// TestRemoveAtTheStart removes a container by force while it is being started.
func TestRemoveAtTheStart(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	for range 10 {
		p.must("create", "--name", "early", "bb", "sleep", "1000")
		run := p.start("start", "-a", "early")
		p.must("rm", "-f", "early")
		if code, ended := run.wait(); !ended || code != 137 && code != 1 && code != 125 {
			t.Fatalf("the removed container's command: exit code %d, ended %v, %q", code, ended, run.stderr)
		}
	}
	p.works()
}
