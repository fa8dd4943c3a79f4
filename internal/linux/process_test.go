// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"slices"
	"testing"
)

func TestReadStat(t *testing.T) {
	s, err := ReadStat(os.Getpid())
	if err != nil || s.Parent != os.Getppid() || s.State != 'R' && s.State != 'S' || s.Start == 0 {
		t.Errorf("of this process: %+v, %v", s, err)
	}
	if _, err := ReadStat(1 << 30); err == nil {
		t.Error("a process that cannot be has a state")
	}
	pids, err := Pids()
	if err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Errorf("this process is not among %v, %v", pids, err)
	}
}

func TestParseStat(t *testing.T) {
	const text = "42 (a) b ( (c)) S 7 42 42 34817 42 4194304 1 2 3 4 500 60 0 0 20 0 1 0 98765 1 1"
	got, err := parseStat([]byte(text))
	want := Stat{Name: "a) b ( (c)", State: 'S', Parent: 7, Terminal: 34817, CPU: 560, Start: 98765}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (x) S 0 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 5 0"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStat(text); err == nil && s.State == 0 {
			t.Errorf("%q has no state", text)
		}
	})
}

func TestNamespaces(t *testing.T) {
	own, err := Namespace(os.Getpid(), "pid")
	if err != nil || own == 0 {
		t.Fatalf("%d, %v", own, err)
	}
	parents, err := ParentNamespaces(os.Getpid())
	if err != nil || slices.Contains(parents, own) {
		t.Errorf("the pid namespace %d is in %v, %v", own, parents, err)
	}
}
