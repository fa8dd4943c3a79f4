// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// recorder is a test that notes its errors and cleanups.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(f, args...))
}

// end runs the cleanups as a test's end does and returns what was reported.
func (r *recorder) end() string {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
	return strings.Join(r.errors, "\n")
}

func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	r := &recorder{TB: t}
	Check(r, dir)
	if err := exec.Command("unshare", "-mn", "true", dir).Run(); err != nil {
		t.Skip("no namespaces can be made here: ", err)
	}
	if got := r.end(); got != "" {
		t.Errorf("a test that left nothing was reported:\n%s", got)
	}
}

// TestEachKindIsFound leaves one thing of each kind and takes it away after.
func TestEachKindIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(t *testing.T, dir string)
		want  string
	}{
		{"mount", leaveMount, "left behind: mount "},
		{"process", leaveProcess(), "left behind: process "},
		{"process in other namespaces", leaveProcess("unshare", "-p", "-m", "--fork", "--kill-child"), "left behind: process "},
		{"network namespace", leaveProcess("unshare", "-n"), "left behind: network namespace net:["},
		{"cgroup", leaveCgroup, "left behind: cgroup "},
		{"loop device", leaveLoop, "left behind: loop device /dev/loop"},
		{"descriptor", leaveDescriptor, "left behind: descriptor "},
		{"directory", leaveDirectory("../.strata-x"), "left behind: directory "},
		{"temporary directory", leaveDirectory(".tmp/strata-x"), "left behind: directory "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "work")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			check(r, dir, 0)
			c.leave(t, dir)
			if got := r.end(); !strings.Contains(got, c.want) {
				t.Errorf("reported %q, want %q in it", got, c.want)
			}
			if left, err := mounts(dir); err != nil || len(left) > 0 {
				t.Errorf("after the report %q is still mounted, %v", left, err)
			}
		})
	}
}

func leaveMount(t *testing.T, dir string) {
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// leaveProcess starts a program, beneath those of prefix, that mentions dir in
// its environment, and waits until it runs.
func leaveProcess(prefix ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		args := append(prefix, "sh", "-c", "echo; exec sleep 1000")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "STRATA_ROOT="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Skip("no namespaces can be made here: ", err)
		}
	}
}

func leaveCgroup(t *testing.T, dir string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"} {
		path := filepath.Join(hierarchy, cgroupPrefixes(dir)[0]+"0123456789ab")
		if _, err := os.Stat(hierarchy + "/cgroup.procs"); err != nil || os.Mkdir(path, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(path) })
		return
	}
	t.Skip("no cgroup can be made here")
}

func leaveLoop(t *testing.T, dir string) {
	file := filepath.Join(dir, "disk")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Skip("no loop device can be had here: ", err)
	}
	t.Cleanup(func() { exec.Command("losetup", "--detach", strings.TrimSpace(string(out))).Run() })
}

func leaveDescriptor(t *testing.T, dir string) {
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

func leaveDirectory(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoroutineIsFound(t *testing.T) {
	r := &recorder{TB: t}
	Goroutines(r)
	stop := make(chan struct{})
	go func() { <-stop }()
	if got := r.end(); !strings.Contains(got, "TestGoroutineIsFound") {
		t.Errorf("reported %q, want the goroutine", got)
	}
	close(stop)
}

// TestOrphanIsFound leaves a process whose parent is gone and that mentions
// nothing of ours.
func TestOrphanIsFound(t *testing.T) {
	out, err := exec.Command("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(out), &pid)
	all, _ := describeAll(descendants())
	found := strings.Contains(strings.Join(all, "\n"), fmt.Sprintf("%d (sleep 1000)", pid))
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, nil, 0, nil)
	if !found {
		t.Errorf("the orphan %d is not among %q", pid, all)
	}
}
