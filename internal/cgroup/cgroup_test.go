// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// unified is what there is of version 2 beside version 1.
var unified = System{2, mountPoint + "/unified"}

// each runs a test with every version that there is here.
func each(t *testing.T, test func(t *testing.T, s System)) {
	if os.Geteuid() != 0 {
		t.Skip("making cgroups needs root")
	}
	systems := []System{Here()}
	if exists(unified.Root + "/cgroup.procs") {
		systems = append(systems, unified)
	}
	for _, s := range systems {
		t.Run(fmt.Sprintf("v%d", s.Version), func(t *testing.T) {
			if s.Version == 0 {
				t.Skip("no cgroups are mounted here")
			}
			test(t, s)
		})
	}
}

// needs skips where a controller cannot be had.
func needs(t *testing.T, s System, controllers ...string) {
	t.Helper()
	have := s.Controllers()
	for _, c := range controllers {
		if !slices.Contains(have, c) {
			t.Skipf("there is no controller %s with cgroup version %d here", c, s.Version)
		}
	}
}

// newPath is the path of a cgroup that belongs to the test, as leak.Check knows.
func newPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	leak.Check(t, dir)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	return "/" + Name(Prefix(st.Dev, st.Ino), "0123456789abcdef")
}

func create(t *testing.T, s System, r *specs.LinuxResources) *Group {
	t.Helper()
	g, err := s.Create(newPath(t), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Remove(), g.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := g.Set(r); err != nil {
		t.Fatal(err)
	}
	return g
}

// process starts a program that has said a line, and is killed at the test's end.
func process(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the program said %q: %v", line, err)
	}
	return cmd
}

func pointer[T any](v T) *T { return &v }

func TestCreateAndRemove(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		path := newPath(t) + "/above/below"
		g, err := s.Create(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if !g.Exists() || g.Path() != path || (g.File() != nil) != (s.Version == 2) {
			t.Errorf("exists %v, path %s, file %v", g.Exists(), g.Path(), g.File())
		}
		again, err := s.Create(path, nil)
		if err != nil {
			t.Errorf("an empty cgroup is not made anew: %v", err)
		} else {
			again.Close()
		}
		if err := g.Add(process(t, "echo; exec sleep 1000").Process.Pid); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(path, nil); err == nil || !strings.Contains(err.Error(), "there are processes in it") {
			t.Errorf("a cgroup in use is made again: %v", err)
		}
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
		if g.Exists() || s.Open(filepath.Dir(path)).Exists() {
			t.Error("Remove leaves the cgroup or what was made above it")
		}
		if err := g.Remove(); err != nil {
			t.Errorf("a second Remove: %v", err)
		}
	})
}

func TestBadPaths(t *testing.T) {
	for _, path := range []string{"", "/", "a", "/a/", "/a/../b", "/a//b", "/a\n", "/a\x00", "/.."} {
		if _, err := Here().Create(path, nil); err == nil {
			t.Errorf("Create(%q) succeeds", path)
		}
	}
	if _, err := (System{}).Create("/a", nil); err == nil || !strings.Contains(err.Error(), "mount cgroup2") {
		t.Errorf("without cgroups: %v", err)
	}
}

// TestNothingIsLeft lets Create and Set fail.
func TestNothingIsLeft(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		path := newPath(t)
		r := &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(9))}, HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}}
		g, err := s.Create(path+"/below", r)
		if err == nil { // hugetlb is there, and has no such size
			if err := g.Set(r); err == nil || !strings.Contains(err.Error(), "set limit 1 of 3MB hugepages") {
				t.Errorf("Set: %v", err)
			}
			err = g.Remove()
			if err != nil {
				t.Fatal(err)
			}
		} else if !strings.Contains(err.Error(), "the cgroup controller is missing") {
			t.Errorf("Create: %v", err)
		}
		if s.Open(path).Exists() {
			t.Error("a cgroup is left")
		}
	})
}

func TestRemoveKills(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		for _, frozen := range []bool{false, true} {
			g, err := s.Create(newPath(t), &specs.LinuxResources{})
			if err != nil {
				t.Fatal(err)
			}
			cmd := process(t, "sleep 1000 & sleep 1000 & echo; wait")
			if err := g.Gather(cmd.Process.Pid, "freezer"); err != nil {
				t.Fatal(err)
			}
			if pids, err := g.Processes(); len(pids) != 3 || err != nil {
				t.Errorf("processes %v, %v; want 3", pids, err)
			}
			if frozen {
				if err := g.Freeze(); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(g.Remove(), g.Close()); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Errorf("the program: %v", err)
			}
		}
	})
}

func TestFreeze(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		g := create(t, s, nil)
		if g.Frozen() {
			t.Error("a new cgroup is frozen")
		}
		cmd := exec.Command("cat")
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer in.Close()
		if err := errors.Join(g.Add(cmd.Process.Pid), g.Freeze()); err != nil {
			t.Fatal(err)
		}
		if !g.Frozen() {
			t.Error("a frozen cgroup is not")
		}
		in.Write([]byte("word\n"))
		ready := []unix.PollFd{{Fd: int32(out.(*os.File).Fd()), Events: unix.POLLIN}}
		if n, _ := unix.Poll(ready, 50); n != 0 {
			t.Error("a frozen process goes on")
		}
		if err := g.Thaw(); err != nil || g.Frozen() {
			t.Errorf("Thaw: %v, frozen %v", err, g.Frozen())
		}
		if n, _ := unix.Poll(ready, 10_000); n != 1 {
			t.Error("a thawed process does not go on")
		}
	})
}

// TestFrozenCgroupTakesIn moves processes that fork to a cgroup that is frozen
// already: the way of pause with version 1.
func TestFrozenCgroupTakesIn(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		g := create(t, s, nil)
		cmd := process(t, "echo; while :; do sleep 0.001; done")
		if err := errors.Join(g.BeginFreeze(), g.Gather(cmd.Process.Pid, "freezer"), g.Freeze()); err != nil {
			t.Fatal(err)
		}
		pids, err := g.Processes()
		if err != nil || !slices.Contains(pids, cmd.Process.Pid) {
			t.Errorf("processes %v, %v", pids, err)
		}
		if err := g.Remove(); err != nil { // before its process is waited for, which does not even die
			t.Error(err)
		}
	})
}

// A zombie is in no cgroup, and its parent cannot reap it while it is frozen.
func TestGatherWithZombie(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		g := create(t, s, nil)
		cmd := process(t, "true & exec sh -c 'echo; exec sleep 1000'") // the new program does not know its child
		if err := errors.Join(g.BeginFreeze(), g.Gather(cmd.Process.Pid, "freezer"), g.Freeze(), g.Remove()); err != nil {
			t.Error(err)
		}
	})
}

func TestGatherPidNamespace(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		g := create(t, s, nil)
		cmd := exec.Command("sh", "-c", "sleep 1000 & (sleep 1000 &) ; echo; wait")
		cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Skip("no pid namespace can be made here: ", err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		bufio.NewReader(out).ReadString('\n')
		if err := g.Gather(cmd.Process.Pid, "freezer"); err != nil {
			t.Fatal(err)
		}
		if pids, err := g.Processes(); len(pids) != 3 || err != nil {
			t.Errorf("processes %v, %v; want 3", pids, err)
		}
	})
}

func TestFind(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		path := newPath(t)
		prefix := path[1 : len(path)-idDigits]
		for _, p := range []string{path, "/strata-above-of-" + prefix[7:] + path} {
			g, err := s.Create(p, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			defer g.Remove()
			found, err := s.Find(prefix)
			if err != nil || !slices.Contains(found, p) {
				t.Errorf("Find: %v, %v; want %s", found, err, p)
			}
		}
	})
}

func TestOwnAndParent(t *testing.T) {
	if own := Own(); !filepath.IsAbs(own) {
		t.Errorf("Own() = %q", own)
	}
	each(t, func(t *testing.T, s System) {
		if p := s.Parent(true); p != "/" {
			t.Errorf("root's parent is %s", p)
		}
		if !s.Writable("/") {
			t.Error("root cannot write the root cgroup")
		}
	})
}
