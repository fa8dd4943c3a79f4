// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/mount"
	"strata/internal/spawn"
)

// begun starts a sandbox that sleeps until the test ends.
func begun(t *testing.T, spec *specs.Spec) *Running {
	t.Helper()
	root, err := mount.Clone(rootfs(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	spec.Process.Args = []string{"sleep", "1000"}
	plan, err := NewPlan(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	child, err := Begin(spec)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Start(child, root)
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRunning(p.Pid)
	t.Cleanup(func() {
		p.Signal(unix.SIGKILL)
		p.Wait()
		p.Pidfd.Close()
		if r != nil {
			r.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// enter runs spec in r and returns what it wrote and how it ended.
func enter(t *testing.T, r *Running, spec *specs.Spec, change func(*Options)) (string, int, error) {
	t.Helper()
	from, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	options := Options{Stdout: w, Stderr: w}
	if change != nil {
		change(&options)
	}
	plan, err := NewEntry(spec, r, options)
	if err != nil {
		t.Fatal(err)
	}
	entrant, err := r.Begin(spec.Linux.CgroupsPath)
	if err != nil {
		w.Close()
		return "", 0, err
	}
	p, err := plan.Enter(entrant)
	w.Close()
	if err != nil {
		return "", 0, err
	}
	defer p.Pidfd.Close()
	var source io.Reader = from
	if p.Terminal != nil {
		defer p.Terminal.Close()
		source = p.Terminal
	}
	text, err := io.ReadAll(source)
	if err != nil && !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), status.ExitStatus(), nil
}

// What a process that enters finds is what the first one has.
func TestEntryIsLikeTheFirst(t *testing.T) {
	r := begun(t, newSpec(""))
	questions := []string{
		"grep -E ^(Cap|NoNewPrivs|Seccomp|Sig(Blk|Ign|Cgt)|Groups|Uid|Gid|Umask) /proc/%s/status",
		"readlink /proc/%s/root", "readlink /proc/%s/cwd", "cat /proc/%s/mountinfo", "cat /proc/%s/cgroup",
		"cat /proc/%s/limits", "cat /proc/%s/oom_score_adj", "cat /proc/%s/environ",
	}
	for _, ns := range namespaceKinds {
		questions = append(questions, "readlink /proc/%s/ns/"+ns.name)
	}
	for _, question := range questions {
		of := func(pid string) string {
			spec := newSpec("")
			spec.Process.Args = strings.Fields(fmt.Sprintf(question, pid))
			got, code, err := enter(t, r, spec, nil)
			if err != nil || code != 0 {
				t.Fatalf("%s: exit code %d, %v: %s", question, code, err, got)
			}
			return got
		}
		if diff := cmp.Diff(of("1"), of("self")); diff != "" {
			t.Errorf("%s: the first (-) and the one that entered (+):\n%s", question, diff)
		}
	}
}

func TestEntry(t *testing.T) {
	r := begun(t, newSpec(""))
	for _, c := range []struct{ name, script, want string }{
		{"the parent is outside", "grep PPid: /proc/$$/status", "PPid:\t0"},
		{"hostname", "hostname", "inside"},
		{"no way out", "ls /..; ls -d /proc/self/cwd/..", "bin\ndev\netc\nproc\nsys\ntmp\n/proc/self/cwd/.."},
		{"descriptors", "ls /proc/self/fd | wc -l", "4"},
		{"session of its own", "echo x 2>&1 >/dev/tty", "sh: can't create /dev/tty: No such device or address"},
		{"our binary is not there", "readlink /proc/$$/exe", "/bin/busybox"},
	} {
		if got, _, err := enter(t, r, newSpec(c.script), nil); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	if _, code, err := enter(t, r, newSpec("exit 7"), nil); err != nil || code != 7 {
		t.Errorf("exit code %d, %v; want 7", code, err)
	}
	if before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || before != 1 {
		t.Errorf("afterwards we are not dumpable: %d, %v", before, err)
	}
}

func TestEntryAsUser(t *testing.T) {
	r := begun(t, newSpec(""))
	spec := newSpec("id; tty; ls -ln $(tty) | cut -c 1-10 >/dev/null; stat -c %u $(tty); grep CapEff /proc/self/status")
	spec.Process.Terminal = true
	spec.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7}}
	spec.Process.Capabilities.Effective, spec.Process.Capabilities.Permitted = nil, nil
	got, _, err := enter(t, r, spec, nil)
	if want := "uid=1000 gid=1001 groups=7\n/dev/pts/0\n1000\nCapEff:\t0000000000000000"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestEntryErrors(t *testing.T) {
	r := begun(t, newSpec(""))
	for name, c := range map[string]struct {
		change func(*specs.Process)
		want   spawn.Error
	}{
		"no such program":   {func(p *specs.Process) { p.Args = []string{"nosuch"} }, spawn.Error{Call: "nosuch", Exec: true, Errno: unix.ENOENT}},
		"not a program":     {func(p *specs.Process) { p.Args = []string{"/etc"} }, spawn.Error{Call: "/etc", Exec: true, Errno: unix.EACCES}},
		"no such directory": {func(p *specs.Process) { p.Cwd = "/none" }, spawn.Error{Call: "chdir to /none", Errno: unix.ENOENT}},
	} {
		for _, detached := range []bool{false, true} {
			spec := newSpec("")
			c.change(spec.Process)
			_, _, err := enter(t, r, spec, func(o *Options) { o.Detached = detached })
			var failed *spawn.Error
			if !errors.As(err, &failed) || *failed != c.want {
				t.Errorf("%s, detached %v: got %v, want %v", name, detached, err, &c.want)
			}
		}
	}
	for fd := range 64 {
		spec := newSpec("ls -di . ..")
		spec.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", fd)
		if got, _, err := enter(t, r, spec, nil); err == nil {
			t.Fatalf("a program began in %s, which is %q", spec.Process.Cwd, got)
		}
	}
}

// A detached process is a child of the first one, and needs us no more.
func TestDetachedEntry(t *testing.T) {
	r := begun(t, newSpec(""))
	got, _, err := enter(t, r, newSpec("until grep -q PPid:.1$ /proc/$$/status; do :; done; grep PPid /proc/$$/status"), func(o *Options) { o.Detached = true })
	if want := "PPid:\t1"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestEntryOfWhatHasEnded(t *testing.T) {
	l := new(spawn.List)
	p, err := spawn.Start(l, spawn.Options{})
	if err == nil {
		t.Fatal("an empty list has become", p)
	}
	r := begun(t, newSpec(""))
	unix.PidfdSendSignal(int(r.pidfd.Fd()), unix.SIGKILL, nil, 0)
	for !r.Ended() {
		unix.Poll([]unix.PollFd{{Fd: int32(r.pidfd.Fd()), Events: unix.POLLIN}}, -1)
	}
	if got, _, err := enter(t, r, newSpec("echo ran"), nil); err == nil {
		t.Errorf("a program ran in a sandbox that has ended: %q", got)
	}
	if _, err := OpenRunning(r.pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v, want %v", err, os.ErrProcessDone)
	}
}
