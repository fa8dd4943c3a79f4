// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// launch starts what paths name by way of a launcher, with its output in stdout.
func launch(t *testing.T, stdout *os.File, paths, args, env []string) (*Process, error) {
	t.Helper()
	l, err := NewLauncher(paths, args, env)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var list List
	list.Add(Call{Name: "close_range", Nr: unix.SYS_CLOSE_RANGE, Args: [6]uintptr{3, uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC}})
	if stdout.Fd() != 1 { // as os.Stderr can be, where test2json reads
		list.Add(Call{Name: "dup3", Nr: unix.SYS_DUP3, Args: [6]uintptr{stdout.Fd(), 1}})
	}
	list.Add(Call{Name: "dup3", Nr: unix.SYS_DUP3, Args: [6]uintptr{l.Errors.Fd(), LauncherErrors}})
	list.Add(Call{Name: "execveat", Nr: unix.SYS_EXECVEAT, Exec: true, Args: [6]uintptr{
		l.Program.Fd(), list.String(""), list.Strings([]string{"launcher"}), list.Strings(nil), unix.AT_EMPTY_PATH}})
	var first List
	child, err := Begin(&first, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Continue(&list)
	if err != nil {
		t.Fatal(err)
	}
	return p, l.Await(p)
}

// TestLauncher checks that the program has its arguments, its variables and only
// its descriptors, and that its own program is not us.
func TestLauncher(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	script := `echo "$0" "$1" "$X"; [ -e /proc/$$/fd/3 ] || echo closed; exit 7`
	p, err := launch(t, w, []string{"/no/such", "/bin/sh", "/not/reached"}, []string{"sh", "-c", script, "name", "one two"}, []string{"X=y z", "PATH=/usr/bin:/bin"})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait()
	if err != nil || status.ExitStatus() != 7 {
		t.Errorf("status %v, %v; want exit code 7", status, err)
	}
	p.Pidfd.Close()
	out, err := io.ReadAll(r)
	if want := "name one two y z\nclosed\n"; err != nil || string(out) != want {
		t.Errorf("output %q, %v; want %q", out, err, want)
	}
}

// TestLauncherIsNotUs executes /proc/self/exe, which is the launcher: it has no
// descriptor to report to then and ends.
func TestLauncherIsNotUs(t *testing.T) {
	p, err := launch(t, os.Stderr, []string{"/proc/self/exe"}, []string{"-test.run=none"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait()
	if err != nil || status.ExitStatus() != 127 {
		t.Errorf("status %v, %v; want the launcher's own exit code 127", status, err)
	}
	p.Pidfd.Close()
}

func TestLauncherErrors(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		paths []string
		want  unix.Errno
	}{
		{[]string{"/no/such"}, unix.ENOENT},
		{[]string{"/no/such", plain, "/no/such"}, unix.EACCES},
		{[]string{"/dev/null/x", "/no/such"}, unix.ENOTDIR},
		{append(make([]string, 3000), dir), unix.EACCES},
	} {
		_, err := launch(t, os.Stderr, c.paths, []string{"name"}, nil)
		var failed *Error
		if !errors.As(err, &failed) || failed.Errno != c.want || !failed.Exec || failed.Call != "name" {
			t.Errorf("%d paths: %v, want %v", len(c.paths), err, c.want)
		}
	}
}

func BenchmarkLauncher(b *testing.B) {
	for b.Loop() {
		l, err := NewLauncher([]string{"/bin/true"}, []string{"true"}, os.Environ())
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
