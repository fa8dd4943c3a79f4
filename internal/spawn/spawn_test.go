// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program returns a list that writes the child's output to stdout and executes
// a shell command.
func program(stdout *os.File, script string) *List {
	l := new(List)
	l.Add(Call{Name: "dup3 output", Nr: unix.SYS_DUP3, Args: [6]uintptr{stdout.Fd(), 1, 0}})
	l.Add(shell(l, script))
	return l
}

func shell(l *List, script string) Call {
	return execve(l, "/bin/sh", "sh", "-c", script)
}

func execve(l *List, path string, args ...string) Call {
	return Call{Name: "execute " + path, Nr: unix.SYS_EXECVE, Exec: true,
		Args: [6]uintptr{l.String(path), l.Strings(args), l.Strings(nil)}}
}

// output runs a list made by f to its end.
func output(t *testing.T, o Options, f func(stdout *os.File) *List) (string, unix.WaitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := Start(f(w), o)
	w.Close()
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer p.Pidfd.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text)), status
}

func TestOffsets(t *testing.T) {
	var r rawRequest
	var c rawCall
	var part rawPart
	for name, pair := range map[string][2]uintptr{
		"request.args":    {unsafe.Offsetof(r.args), 24},
		"request.first":   {unsafe.Offsetof(r.first), 64},
		"request.result":  {unsafe.Offsetof(r.result), 72},
		"request.cloning": {unsafe.Offsetof(r.cloning), 80},
		"request.pidns":   {unsafe.Offsetof(r.pidns), 88},
		"request.entered": {unsafe.Offsetof(r.entered), 96},
		"request.thread":  {unsafe.Offsetof(r.thread), 104},
		"part.n":          {unsafe.Offsetof(part.n), 8},
		"part.next":       {unsafe.Offsetof(part.next), 16},
		"call.tolerate":   {unsafe.Offsetof(c.tolerate), 56},
		"call.result":     {unsafe.Offsetof(c.result), 80},
		"call.time":       {unsafe.Offsetof(c.time), 104},
		"call.save":       {unsafe.Offsetof(c.save), 88},
		"call.tied":       {unsafe.Offsetof(c.tied), 112},
		"call":            {unsafe.Sizeof(c), 120},
		"running":         {uintptr(running & (1<<63 - 1)), uintptr(-4294967295 & (1<<63 - 1))},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is at %d, the assembly has %d", name, pair[0], pair[1])
		}
	}
}

func TestStartRunsProgram(t *testing.T) {
	got, status := output(t, Options{}, func(w *os.File) *List { return program(w, "echo $0 $PATH; exit 7") })
	if !strings.HasPrefix(got, "sh") || status.ExitStatus() != 7 {
		t.Errorf("got %q, status %d; want sh…, 7", got, status.ExitStatus())
	}
}

func TestStartInPidNamespace(t *testing.T) {
	got, _ := output(t, Options{Namespaces: unix.CLONE_NEWPID | unix.CLONE_NEWUTS}, func(w *os.File) *List {
		return program(w, "echo $$")
	})
	if got != "1" {
		t.Errorf("process id inside is %s, want 1", got)
	}
}

func TestSignalsAreDefaultInChild(t *testing.T) {
	got, _ := output(t, Options{}, func(w *os.File) *List {
		l := new(List)
		l.Add(Call{Name: "dup3 output", Nr: unix.SYS_DUP3, Args: [6]uintptr{w.Fd(), 1, 0}})
		unblock := uint64(0)
		l.Add(Call{Name: "unblock signals", Nr: unix.SYS_RT_SIGPROCMASK, Args: [6]uintptr{2, Pin(l, &unblock), 0, 8}})
		l.Add(execve(l, "/bin/cat", "cat", "/proc/self/status"))
		return l
	})
	for line := range strings.Lines(got) {
		f := strings.Fields(line)
		if (f[0] == "SigBlk:" || f[0] == "SigCgt:") && f[1] != "0000000000000000" {
			t.Errorf("child has %s %s, want none", f[0], f[1])
		}
	}
}

func TestParentMaskIsRestored(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadMask(t)
	output(t, Options{}, func(w *os.File) *List { return program(w, "true") })
	if after := threadMask(t); after != before {
		t.Errorf("signal mask %#x after Start, was %#x", after, before)
	}
}

func threadMask(t *testing.T) unix.Sigset_t {
	t.Helper()
	var set unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFailures(t *testing.T) {
	bad := Call{Name: "close nothing", Nr: unix.SYS_CLOSE, Args: [6]uintptr{1 << 20}}
	cases := map[string]struct {
		list func(l *List)
		want Error
	}{
		"a call":          {func(l *List) { l.Add(bad, shell(l, "true")) }, Error{"close nothing", false, unix.EBADF}},
		"program missing": {func(l *List) { l.Add(execve(l, "/nowhere/x")) }, Error{"execute /nowhere/x", true, unix.ENOENT}},
		"not executable":  {func(l *List) { l.Add(execve(l, "/etc/passwd")) }, Error{"execute /etc/passwd", true, unix.EACCES}},
		"candidates": {func(l *List) { l.Add(execve(l, "/no/x"), execve(l, "/etc/passwd"), execve(l, "/no/y")) },
			Error{"execute /etc/passwd", true, unix.EACCES}},
		"no program": {func(l *List) { l.Add(Call{Name: "getpid", Nr: unix.SYS_GETPID}) },
			Error{"start a process: the list ended without execve", false, unix.ECHILD}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := new(List)
			c.list(l)
			_, err := Start(l, Options{})
			var got *Error
			if !errors.As(err, &got) || *got != c.want {
				t.Errorf("got %#v, want %#v", err, c.want)
			}
		})
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a failed start left a child: wait4 says %v", err)
	}
}

func TestTolerateAndSkip(t *testing.T) {
	got, _ := output(t, Options{}, func(w *os.File) *List {
		l := new(List)
		l.Add(Call{Name: "dup3", Nr: unix.SYS_DUP3, Args: [6]uintptr{w.Fd(), 1, 0}})
		l.Add(Call{Name: "missing", Nr: unix.SYS_CLOSE, Args: [6]uintptr{1 << 20}, Tolerate: unix.EBADF, SkipOnError: 1})
		l.Add(execve(l, "/bin/echo", "echo", "not this"))
		l.Add(Call{Name: "positive", Nr: unix.SYS_GETPID, SkipOnPositive: 1})
		l.Add(execve(l, "/bin/echo", "echo", "nor this"))
		l.Add(execve(l, "/bin/echo", "echo", "this"))
		return l
	})
	if got != "this" {
		t.Errorf("got %q, want this", got)
	}
}

func TestOlderClone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := newChild(new(List), Options{Namespaces: unix.CLONE_NEWUTS})
	if err != nil {
		t.Fatal(err)
	}
	c.request.raw.result, c.request.raw.cloning = -int(unix.ENOSYS), 0 // as where clone3 is not let through
	p, err := c.Continue(program(w, "echo older; cat /proc/self/status"))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Pidfd.Close()
	text, _ := io.ReadAll(r)
	p.Wait()
	if !strings.HasPrefix(string(text), "older\n") || !strings.Contains(string(text), "SigCgt:\t0000000000000000") {
		t.Errorf("got %q", text)
	}
}

func TestSavedResult(t *testing.T) {
	got, _ := output(t, Options{}, func(w *os.File) *List {
		l := new(List)
		l.Add(Call{Name: "dup3", Nr: unix.SYS_DUP3, Args: [6]uintptr{w.Fd(), 1, 0}})
		l.Add(Call{Name: "open", Nr: unix.SYS_OPENAT, Save: true, Args: [6]uintptr{^uintptr(99), l.String("/dev/null")}})
		l.Add(Call{Name: "dup3 what was opened", Nr: unix.SYS_DUP3, Saved: true, Args: [6]uintptr{0, 77, 0}})
		l.Add(execve(l, "/bin/readlink", "readlink", "/proc/self/fd/77"))
		return l
	})
	if got != "/dev/null" {
		t.Errorf("descriptor 77 is %q, want /dev/null", got)
	}
}

// Many goroutines start processes while the garbage collector runs: the child
// must see memory as it was prepared.
func TestStartUnderGarbageCollection(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if got, _ := output(t, Options{}, func(w *os.File) *List { return program(w, "echo ok") }); got != "ok" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

// withInit puts command under the init program, in the way a sandbox does.
func withInit(t *testing.T, w *os.File, command string) *List {
	t.Helper()
	f, err := InitProgram()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	l := new(List)
	l.Add(Call{Name: "dup3 output", Nr: unix.SYS_DUP3, Args: [6]uintptr{w.Fd(), 1, 0}})
	l.Add(Call{Name: "clone process 2", Nr: unix.SYS_CLONE, SkipOnPositive: 3,
		Args: [6]uintptr{unix.CLONE_VM | unix.CLONE_VFORK | uintptr(unix.SIGCHLD)}})
	unblock := uint64(0)
	l.Add(Call{Name: "unblock signals", Nr: unix.SYS_RT_SIGPROCMASK, Args: [6]uintptr{2, Pin(l, &unblock), 0, 8}})
	l.Add(shell(l, command))
	l.Add(Call{Name: "exit", Nr: unix.SYS_EXIT_GROUP, Args: [6]uintptr{127}})
	l.Add(Call{Name: "execute init", Nr: unix.SYS_EXECVEAT, Exec: true,
		Args: [6]uintptr{f.Fd(), l.String(""), l.Strings([]string{"init"}), l.Strings(nil), unix.AT_EMPTY_PATH}})
	return l
}

func TestInit(t *testing.T) {
	cases := map[string]struct {
		command, output string
		exit            int
	}{
		"exit code":       {"echo $$; exit 3", "2", 3},
		"killed":          {"kill -KILL $$", "", 128 + 9},
		"forwards":        {"trap 'echo got; exit 5' TERM; kill -TERM 1; while :; do sleep 0.01; done", "got", 5},
		"reaps strangers": {"(sleep 0.01 &) ; (true &); sleep 0.05; ls -d /proc/[0-9]* >/dev/null; echo done", "done", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, status := output(t, Options{Namespaces: unix.CLONE_NEWPID}, func(w *os.File) *List {
				return withInit(t, w, c.command)
			})
			if got != c.output || status.ExitStatus() != c.exit {
				t.Errorf("got %q, exit %d; want %q, %d", got, status.ExitStatus(), c.output, c.exit)
			}
		})
	}
}

func TestInitReportsMissingProgram(t *testing.T) {
	f, err := InitProgram()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := new(List)
	l.Add(Call{Name: "clone process 2", Nr: unix.SYS_CLONE, SkipOnPositive: 2,
		Args: [6]uintptr{unix.CLONE_VM | unix.CLONE_VFORK | uintptr(unix.SIGCHLD)}})
	l.Add(execve(l, "/nowhere"))
	l.Add(Call{Name: "exit", Nr: unix.SYS_EXIT_GROUP, Args: [6]uintptr{127}})
	l.Add(Call{Name: "execute init", Nr: unix.SYS_EXECVEAT, Exec: true,
		Args: [6]uintptr{f.Fd(), l.String(""), l.Strings([]string{"init"}), l.Strings(nil), unix.AT_EMPTY_PATH}})
	_, err = Start(l, Options{Namespaces: unix.CLONE_NEWPID})
	var failed *Error
	if !errors.As(err, &failed) || failed.Call != "execute /nowhere" || failed.Errno != unix.ENOENT {
		t.Errorf("got %v, want that /nowhere is missing", err)
	}
}

func TestInitProgramIsSmall(t *testing.T) {
	if n := len(initELF()); n < 200 || n > 1024 {
		t.Errorf("init program has %d bytes: the assembler has moved its end", n)
	}
}
