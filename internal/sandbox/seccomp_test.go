// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/seccomp"
	"strata/internal/spawn"
)

// denying is a profile that allows all but some system calls.
func denying(action specs.LinuxSeccompAction, names ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: names, Action: action}},
	}
}

// ours are the calls with which a child ends its list, but for what installs a
// filter and executes: a filter comes after them.
var ours = []string{
	"setresuid", "setresgid", "setgroups", "setsid", "dup3", "rt_sigprocmask", "close_range", "clone", "clone3", "fchdir",
	"chdir", "chroot", "mount", "move_mount", "ioctl",
}

func TestSeccompActs(t *testing.T) {
	dir := rootfs(t)
	node := []string{"mknod", "mknodat"}
	for _, c := range []struct {
		name    string
		profile *specs.LinuxSeccomp
		script  string
		want    string
		code    int
	}{
		{"errno", denying(specs.ActErrno, node...), "(mknod /tmp/x p) 2>&1; echo $?", "mknod: /tmp/x: Operation not permitted\n1", 0},
		{"kill", denying(specs.ActKill, node...), "exec mknod /tmp/x p", "", -1},
		{"kill process", denying(specs.ActKillProcess, node...), "(mknod /tmp/x p) 2>&1; echo $?", "Bad system call\n159", 0},
		{"trap", denying(specs.ActTrap, node...), "(mknod /tmp/x p) 2>&1; echo $?", "Bad system call\n159", 0},
		{"trace without a tracer", denying(specs.ActTrace, node...), "(mknod /tmp/x p) 2>&1; echo $?", "mknod: /tmp/x: Function not implemented\n1", 0},
		{"log", denying(specs.ActLog, "uname"), "uname", "Linux", 0},
		{"as late as can be", denying(specs.ActErrno, "setresuid", "setresgid", "setgroups", "close_range", "chroot", "mount"), "echo on", "on", 0},
		{"state", denying(specs.ActErrno, "uname"), "grep -E '^(NoNewPrivs|Seccomp)' /proc/self/status", "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1", 0},
	} {
		spec := newSpec(c.script)
		spec.Linux.Seccomp = c.profile
		got, code, err := run(t, dir, spec, nil)
		if err != nil || got != c.want || code != c.code {
			t.Errorf("%s: got %q, %d, %v; want %q, %d", c.name, got, code, err, c.want, c.code)
		}
	}
}

// TestSeccompIsLast starts processes whose filter denies all that we do before
// it: with and without no_new_privs, process 1 of ours, a terminal, other ids.
func TestSeccompIsLast(t *testing.T) {
	dir := rootfs(t)
	admin := []string{"CAP_CHOWN", "CAP_NET_RAW"}
	for _, user := range []uint32{0, 1000} {
		for _, more := range []bool{false, true} {
			for _, withInit := range []bool{false, true} {
				for _, terminal := range []bool{false, true} {
					spec := newSpec("")
					spec.Process.Args = []string{"cat", "/proc/self/status"}
					spec.Process.User = specs.User{UID: user, GID: 7, AdditionalGids: []uint32{7, 8}}
					spec.Process.NoNewPrivileges, spec.Process.Terminal = !more, terminal
					spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: admin, Permitted: admin, Effective: admin, Inheritable: admin, Ambient: admin}
					spec.Linux.Seccomp = denying(specs.ActErrno, ours...)
					got, code, err := run(t, dir, spec, func(o *Options) { o.Init = withInit })
					if err != nil || code != 0 {
						t.Fatalf("user %d, no_new_privs %v, init %v, terminal %v: %d, %v\n%s", user, !more, withInit, terminal, code, err, got)
					}
					flag := map[bool]string{false: "1", true: "0"}[more]
					for _, want := range []string{
						"NoNewPrivs:\t" + flag, "Seccomp:\t2", "CapPrm:\t0000000000002001", "CapEff:\t0000000000002001",
						"CapBnd:\t0000000000002001", "CapAmb:\t0000000000002001", "CapInh:\t0000000000002001", "Groups:\t7 8",
					} {
						if !strings.Contains(got, want) {
							t.Errorf("user %d, no_new_privs %v, init %v, terminal %v: no %q in\n%s", user, !more, withInit, terminal, want, got)
						}
					}
				}
			}
		}
	}
}

// TestSeccompOfInit looks at process 1 of ours beside the program.
func TestSeccompOfInit(t *testing.T) {
	dir := rootfs(t)
	for _, nnp := range []bool{true, false} {
		const wait = `i=0; while grep -q '^Seccomp:.0' /proc/1/status && [ $i -lt 10000 ]; do i=$((i+1)); done; ` // it goes on after the program
		spec := newSpec(wait + "grep -hE '^(Seccomp|CapEff|NoNewPrivs):' /proc/1/status /proc/self/status")
		spec.Process.NoNewPrivileges = nnp
		spec.Linux.Seccomp = denying(specs.ActErrno, "uname")
		got, _, err := run(t, dir, spec, func(o *Options) { o.Init = true })
		half := "CapEff:\t0000000008000081\nNoNewPrivs:\t" + map[bool]string{true: "1", false: "0"}[nnp] + "\nSeccomp:\t2"
		if err != nil || got != half+"\n"+half {
			t.Errorf("no_new_privs %v: got %q, %v", nnp, got, err)
		}
	}
}

// TestSeccompOfOptions takes a filter compiled before in the place of the
// specification's.
func TestSeccompOfOptions(t *testing.T) {
	f, err := seccomp.Compile(denying(specs.ActErrno, "mknod", "mknodat"), runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := run(t, rootfs(t), newSpec("mknod /tmp/x p"), func(o *Options) { o.Seccomp = &f })
	if err != nil || !strings.Contains(got, "not permitted") {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSeccompFails is what cannot work: a profile that does not compile, a
// program that is nothing to the kernel, a process that may not even be started
// or ended.
func TestSeccompFails(t *testing.T) {
	dir := rootfs(t)
	spec := newSpec("true")
	spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActNotify}
	if _, _, err := run(t, dir, spec, nil); err == nil || !strings.Contains(err.Error(), "SCMP_ACT_NOTIFY is not supported") {
		t.Errorf("notify: %v", err)
	}
	broken := &seccomp.Filter{Program: make([]byte, 16)}
	_, _, err := run(t, dir, newSpec("true"), func(o *Options) { o.Seccomp = broken })
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "install the seccomp filter") {
		t.Errorf("a broken program: %v", err)
	}
	spec = newSpec("true")
	spec.Linux.Seccomp = denying(specs.ActErrno, "execve", "exit_group", "exit")
	_, _, err = run(t, dir, spec, nil)
	var failed *spawn.Error
	if !errors.As(err, &failed) || !failed.Exec || failed.Errno != unix.EPERM {
		t.Errorf("no execve: %v", err)
	}
}
