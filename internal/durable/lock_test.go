// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"strata/internal/durable"
	"strata/internal/linux"
)

const holdVariable = "STRATA_TEST_HOLD"

// TestMain makes a second process of the test binary: it takes the lock its
// environment names, says so, and holds it until its input ends.
func TestMain(m *testing.M) {
	if kind := os.Getenv(holdVariable); kind != "" {
		hold(kind, os.Args[1])
		return
	}
	os.Exit(m.Run())
}

var kinds = map[string]func(*os.File) (*durable.Lock, error){
	"share": durable.Share, "exclusive": durable.Exclusive,
	"try share": durable.TryShare, "try exclusive": durable.TryExclusive,
}

func hold(kind, path string) {
	f, err := os.Open(path)
	if err == nil {
		_, err = kinds[kind](f)
	}
	switch {
	case errors.Is(err, durable.ErrLocked):
		fmt.Println("locked")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("held")
	}
	io.Copy(io.Discard, os.Stdin)
}

// process is another process that holds, or waits for, a lock.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

func other(t *testing.T, kind, path string) *process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", path)
	cmd.Env = append(os.Environ(), holdVariable+"="+kind)
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, stdin, bufio.NewReader(stdout)}
	t.Cleanup(p.end)
	return p
}

func (p *process) says() string {
	line, _ := p.out.ReadString('\n')
	return line[:max(0, len(line)-1)]
}

func (p *process) end() {
	p.stdin.Close()
	p.cmd.Wait()
}

func lockFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func take(t *testing.T, kind, path string) (*durable.Lock, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := kinds[kind](f)
	if err != nil {
		f.Close()
		return nil, err
	}
	t.Cleanup(func() { lock.Close() })
	return lock, nil
}

func TestLocksBetweenProcesses(t *testing.T) {
	for _, c := range []struct{ theirs, ours, want string }{
		{"share", "try share", "held"},
		{"share", "try exclusive", "locked"},
		{"exclusive", "try share", "locked"},
		{"exclusive", "try exclusive", "locked"},
	} {
		for what, path := range map[string]string{"file": lockFile(t), "directory": t.TempDir()} {
			t.Run(c.theirs+" then "+c.ours+" on a "+what, func(t *testing.T) {
				want(t, "theirs", other(t, c.theirs, path).says(), "held")
				_, err := take(t, c.ours, path)
				want(t, fmt.Sprint("ours: ", err), errors.Is(err, durable.ErrLocked), c.want == "locked")
			})
		}
	}
}

// A lock excludes within a process as between processes, if the file is opened
// for each.
func TestLocksWithinAProcess(t *testing.T) {
	path := lockFile(t)
	lock, err := take(t, "exclusive", path)
	want(t, "first", err, nil)
	_, err = take(t, "try exclusive", path)
	want(t, "second", errors.Is(err, durable.ErrLocked), true)
	want(t, "close", lock.Close(), nil)
	_, err = take(t, "try exclusive", path)
	want(t, "after close", err, nil)
}

func TestExclusiveWaits(t *testing.T) {
	path := lockFile(t)
	lock, err := take(t, "share", path)
	want(t, "ours", err, nil)
	waiter := other(t, "exclusive", path)
	prober := other(t, "try exclusive", path)
	want(t, "prober", prober.says(), "locked")
	lock.Close()
	want(t, "waiter", waiter.says(), "held")
}

func TestSIGKILLFreesTheLock(t *testing.T) {
	path := lockFile(t)
	holder := other(t, "exclusive", path)
	want(t, "holder", holder.says(), "held")
	holder.cmd.Process.Kill()
	holder.end()
	_, err := take(t, "try exclusive", path)
	want(t, "after SIGKILL", err, nil)
}

// What the comment of Lock.Close says of children, so that nobody is surprised.
func TestAChildKeepsTheLock(t *testing.T) {
	path := lockFile(t)
	lock, err := take(t, "exclusive", path)
	want(t, "ours", err, nil)
	child := exec.Command("/proc/self/exe", path)
	child.Env = append(os.Environ(), holdVariable+"=try share") // any: it waits for the end of its input
	child.ExtraFiles = []*os.File{lock.File()}
	stdin, _ := child.StdinPipe()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	_, err = take(t, "try exclusive", path)
	want(t, "while the child lives", errors.Is(err, durable.ErrLocked), true)
	stdin.Close()
	child.Wait()
	_, err = take(t, "try exclusive", path)
	want(t, "when it is gone", err, nil)
}

func TestLockErrors(t *testing.T) {
	path := lockFile(t)
	fd, err := linux.OpenAt(-100, path, 0o10000000, 0) // O_PATH: flock(2) refuses it
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	_, err = durable.Exclusive(f)
	want(t, "message", err, "lock "+path+": bad file descriptor")
}
