// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// sleeper is process 1 of a pid namespace, until the test ends.
func sleeper(t *testing.T) *os.File {
	t.Helper()
	l := new(List)
	l.Add(execve(l, "/bin/sleep", "sleep", "1000"))
	p, err := Start(l, Options{Namespaces: unix.CLONE_NEWPID})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", p.Pid))
	t.Cleanup(func() {
		if err := errors.Join(p.Signal(unix.SIGKILL), ns.Close()); err != nil {
			t.Error(err)
		}
		p.Wait()
		p.Pidfd.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestPidNamespace(t *testing.T) {
	ns := sleeper(t)
	before, err := os.Readlink("/proc/self/ns/pid_for_children")
	if err != nil {
		t.Fatal(err)
	}
	for want := 2; want <= 4; want++ {
		got, status := output(t, Options{PidNamespace: ns}, func(w *os.File) *List { return program(w, "echo $$; exit 5") })
		if got != fmt.Sprint(want) || status.ExitStatus() != 5 {
			t.Errorf("process id inside is %s, exit code %d; want %d, 5", got, status.ExitStatus(), want)
		}
	}
	if after, err := os.Readlink("/proc/self/ns/pid_for_children"); err != nil || after != before {
		t.Errorf("children of this process begin in %s, %v; before in %s", after, err, before)
	}
	onlySleeper(t)
}

// onlySleeper holds that what lives is the sleeper alone.
func onlySleeper(t *testing.T) {
	t.Helper()
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid != 0 || err != nil {
		t.Errorf("beside the sleeper there is child %d, %v", pid, err)
	}
}

func TestPidNamespaceCannotBeEntered(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		want unix.Errno
	}{
		"another kind": {"/proc/self/ns/uts", unix.EINVAL},
		"no namespace": {"/dev/null", unix.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(c.path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			l := new(List)
			l.Add(shell(l, "true"))
			_, err = Start(l, Options{PidNamespace: f})
			var got *Error
			if want := (Error{"enter the pid namespace", false, c.want}); !errors.As(err, &got) || *got != want {
				t.Errorf("got %v, want %v", err, &want)
			}
			noChildren(t)
		})
	}
}

func TestPidNamespaceWithOlderClone(t *testing.T) {
	ns := sleeper(t)
	c, err := newChild(new(List), Options{PidNamespace: ns})
	if err != nil {
		t.Fatal(err)
	}
	c.request.raw.result, c.request.raw.cloning = -int(unix.ENOSYS), 0
	rest := new(List)
	rest.Add(shell(rest, "exit $$"))
	p, err := c.Continue(rest)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Pidfd.Close()
	if status, err := p.Wait(); err != nil || status.ExitStatus() != 2 {
		t.Errorf("process id inside is %d, %v; want 2", status.ExitStatus(), err)
	}
}
