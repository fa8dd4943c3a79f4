// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strata/mini/internal/command"
)

// bin is a directory with mini under all its names.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mini-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// What we inherited ourselves is not to be seen in `ls /proc/self/fd`.
	if err := unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintln(os.Stderr, "close_range:", err)
	}
	bin = filepath.Join(dir, "bin")
	if err := install(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func install(dir string) error {
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "mini"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, name := range append(command.Names(), "sh") {
		if err := os.Symlink("mini", filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// script is sh -c script in dir, with nothing to read.
func script(dir, text string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "sh"), "-c", text)
	cmd.Args[0] = "sh"
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin, "HOME=/root", "TMPDIR=/tmp", "TZ=UTC"}
	return cmd
}

// step is a command of a transcript and what it is to print and return.
type step struct {
	line         int
	script, want string
	status       string
}

// parse reads a transcript: "$ " begins a command and "> " goes on with it, "?
// N" is its status where not 0, the rest its output; a backslash at the end
// of the output says that no newline comes there.
func parse(text string) (steps []step) {
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: i + 1, script: line[2:], status: "exit status 0"})
		case strings.HasPrefix(line, "> ") && steps[last].want == "":
			steps[last].script += "\n" + line[2:]
		case strings.HasPrefix(line, "? "):
			steps[last].status = "exit status " + line[2:]
		default:
			steps[last].want += line + "\n"
		}
	}
	for i := range steps {
		if text, ok := strings.CutSuffix(steps[i].want, "\\\n"); ok {
			steps[i].want = text
		}
	}
	return steps
}

// TestTranscripts runs testdata/*.txt; the commands of one file share a
// directory. What root.txt does needs root, and a mount namespace of its own
// for each command.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			root := filepath.Base(file) == "root.txt"
			if root && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for _, s := range parse(string(text)) {
				s.run(t, file, dir, root)
			}
		})
	}
}

func (s step) run(t *testing.T, file, dir string, root bool) {
	t.Helper()
	cmd := script(dir, s.script)
	if root {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	out, err := cmd.CombinedOutput()
	status := "exit status 0"
	if err != nil {
		status = err.Error()
	}
	got := strings.ReplaceAll(string(out), bin, "BIN")
	if got != s.want || status != s.status {
		t.Errorf("%s:%d: $ %s\ngot %s:\n%s\nwant %s:\n%s", file, s.line, s.script, status, got, s.status, s.want)
	}
}

// TestAll calls every command without arguments: none may crash.
func TestAll(t *testing.T) {
	for _, name := range append(command.Names(), "sh") {
		if name == "yes" || name == "ps" { // without end, and everybody's business
			continue
		}
		cmd := exec.Command(filepath.Join(bin, name))
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"TMPDIR=" + cmd.Dir}
		out, err := cmd.CombinedOutput()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if err != nil && !ok || ok && !exit.Exited() || bytes.Contains(out, []byte("internal error")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestBadFlags: one line that names the command, and a status that is not 0.
func TestBadFlags(t *testing.T) {
	never := "echo true false test [ printf expr yes sleep kill seq dd which hostname clear nproc uptime whoami printenv unlink"
	for _, name := range command.Names() {
		if strings.Contains(" "+never+" ", " "+name+" ") {
			continue
		}
		cmd := exec.Command(filepath.Join(bin, name), "--no-such-flag")
		out, err := cmd.CombinedOutput()
		if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.HasPrefix(out, []byte(name+": ")) {
			t.Errorf("%s --no-such-flag: got %v, %q, want one line and a failure", name, err, out)
		}
	}
}

// TestSignals: a program that replaced the shell is ended by the signal, and
// the shell itself too.
func TestSignals(t *testing.T) {
	for _, text := range []string{"echo ready; sleep 1000", "echo ready; exec sleep 1000", "echo ready; while :; do :; done"} {
		cmd := script(t.TempDir(), text)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var ready [6]byte
		if _, err := out.Read(ready[:]); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
			t.Errorf("%s: got %v, want signal: terminated", text, err)
		}
	}
}

// TestInit: as a container's first process a shell ends at a signal, obeys its
// traps and reaps what it did not start.
func TestInit(t *testing.T) {
	for text, want := range map[string]string{
		"kill -TERM $$; sleep 1000":                                            "exit status 143",
		"trap 'exit 5' TERM; kill -TERM $$; sleep 1000":                        "exit status 5",
		"trap '' TERM; kill -TERM $$; exit 6":                                  "exit status 6",
		"(sleep 0.1 & ) ; sleep 0.3; sleep 0; ps -o stat | grep -c Z; exit $?": "exit status 1",
	} {
		cmd := script(t.TempDir(), "mount -t proc proc /proc; "+text)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
		if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
			t.Skip("needs the privilege to make a pid namespace: ", err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestFollow: tail -f prints what is added.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "log")
	if err := os.WriteFile(name, []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "tail"), "-f", name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	stuck := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	for _, want := range []string{"one\n", "two\n"} {
		buf := make([]byte, 64)
		n, err := out.Read(buf)
		if string(buf[:n]) != want {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("two\n")
		f.Close()
	}
}
