// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const replaceEnv = "SPAWN_TEST_REPLACE"

// replacements are what a child of the test makes of itself.
var replacements = map[string]struct {
	make   func(*Replacement)
	output string
	exit   int
}{
	"execute": {func(r *Replacement) {
		r.Call("chdir fails", unix.SYS_CHDIR, r.String("/proc"))
		r.Call("", unix.SYS_CHDIR, r.String("/no/such"))
		r.Call("", unix.SYS_EXECVE, r.String("/no/such"), r.Strings(nil), r.Strings(nil))
		r.Call("execve fails", unix.SYS_EXECVE, r.String("/bin/sh"), r.Strings([]string{"sh", "-c", "pwd; echo $X; exit 5", ""}), r.Strings([]string{"X=y z"}))
	}, "/proc\ny z\n", 5},
	"a call fails": {func(r *Replacement) {
		r.Call("close: refused", unix.SYS_CLOSE, 1<<20)
		r.Call("not reached", unix.SYS_CLOSE, 1<<20)
	}, "close: refused\n", 125},
	"pointers": {func(r *Replacement) {
		text := []byte("some bytes\n")
		r.Call("write fails", unix.SYS_WRITE, 1, r.Pointer(text), uintptr(len(text)))
	}, "some bytes\n", 125},
	"six arguments": {func(r *Replacement) { // the last is an offset, which must be a page's
		args := []uintptr{0, 4096, unix.PROT_READ, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, ^uintptr(0), 0}
		r.Call("mmap fails", unix.SYS_MMAP, args...)
		r.Call("refused", unix.SYS_MMAP, append(args[:5:5], 1)...)
	}, "refused\n", 125},
	"pid": {func(r *Replacement) {
		r.Call("execve fails", unix.SYS_EXECVE, r.String("/bin/sh"), r.Strings([]string{"sh", "-c", "echo $$ > /dev/stdout"}), r.Strings(nil))
	}, "", 0},
	"one thread": {func(r *Replacement) {
		r.Call("unshare fails", unix.SYS_UNSHARE, unix.CLONE_THREAD)
		r.Call("execve fails", unix.SYS_EXECVE, r.String("/bin/true"), r.Strings([]string{"true"}), r.Strings(nil))
	}, "", 0},
}

// becomeReplacement is the child.
func becomeReplacement(name string) int {
	var r Replacement
	replacements[name].make(&r)
	fmt.Println(r.Exec())
	return 1
}

func TestReplacement(t *testing.T) {
	for name, want := range replacements {
		if name == "pid" { // below
			continue
		}
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), replaceEnv+"="+name)
			out, _ := cmd.CombinedOutput()
			if string(out) != want.output || cmd.ProcessState.ExitCode() != want.exit {
				t.Errorf("got %q, exit %d; want %q, %d", out, cmd.ProcessState.ExitCode(), want.output, want.exit)
			}
		})
	}
}

// The process that is replaced stays who it is: nobody has to wait for another.
func TestReplacementKeepsTheProcess(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), replaceEnv+"=pid")
	out, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(cmd.Process.Pid) {
		t.Errorf("the process is %q, %v; was %d", out, err, cmd.Process.Pid)
	}
}
