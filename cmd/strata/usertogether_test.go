// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOrdinaryUsersTogether has two users make their stores and run containers at
// once, each by many commands.
func TestOrdinaryUsersTogether(t *testing.T) {
	t.Parallel()
	users := []*place{newUserPlace(t, true), newUserPlace(t, true)}
	var commands []*program
	for _, p := range users {
		for i := range 4 {
			commands = append(commands, p.start("import", os.Getenv(rootfsEnv)+".tar", fmt.Sprintf("bb:%d", i)))
		}
	}
	for i, run := range commands {
		if code, ended := run.wait(); code != 0 || !ended || run.stderr.String() != "" {
			t.Errorf("import %d: %d, %v: %s", i, code, ended, run.stderr)
		}
	}
	commands = nil
	for _, p := range users {
		for i := range 8 {
			commands = append(commands, p.start("run", "--rm", fmt.Sprintf("bb:%d", i%4), "sh", "-c", fmt.Sprintf("echo %d > /x; cat /x; exit %d", i, i)))
		}
	}
	for i, run := range commands {
		code, ended := run.wait()
		if want := fmt.Sprintln(i % 8); code != i%8 || !ended || run.stdout.String() != want {
			t.Errorf("run %d: %d, %v: %q %s", i, code, ended, run.stdout, run.stderr)
		}
	}
	for _, p := range users {
		p.works()
	}
}

// TestOrdinaryUserNamespace checks that commands on one store meet in one user
// namespace while one of them runs, and that none stays when all have ended.
func TestOrdinaryUserNamespace(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	p.must("images")
	lines := regexp.MustCompile(`user:\[\d+\]\n`)
	const show = "readlink /proc/self/ns/user; exec sleep 1000"
	namespaceOf := func(run *program) string {
		if !run.stdout.await(lines, run.ended) {
			t.Fatalf("no namespace: %q, %s", run.stdout, run.stderr)
		}
		return strings.TrimSpace(run.stdout.String())
	}
	first := p.start("unshare", "sh", "-c", show)
	want := namespaceOf(first)
	var beside []*program
	for range 6 {
		beside = append(beside, p.start("unshare", "sh", "-c", show))
	}
	for _, run := range beside {
		if got := namespaceOf(run); got != want {
			t.Errorf("a second command is in %s, the first in %s", got, want)
		}
	}
	first.kill() // those who came later keep it
	if got := p.must("unshare", "readlink", "/proc/self/ns/user"); got != want {
		t.Errorf("after the first one's end: %s, want %s", got, want)
	}
	other := newUserPlace(t, true)
	if got := other.must("unshare", "readlink", "/proc/self/ns/user"); got == want {
		t.Errorf("another user is in the same namespace %s", got)
	}
	for _, run := range beside {
		run.kill()
	}
	if ids := p.must("unshare", "cat", "/proc/self/uid_map"); !strings.Contains(ids, "65536") {
		t.Errorf("the next namespace has the ids %q", ids)
	}
}

// TestOrdinaryUserSignals checks that signals and the terminal reach the
// container, and that nothing is left of who is killed.
func TestOrdinaryUserSignals(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	p.userImport("bb")
	ready := regexp.MustCompile("ready\n")
	run := p.start("run", "--rm", "bb", "sh", "-c", `trap "echo got INT; exit 3" INT; `+forever)
	if !run.stdout.await(ready, run.ended) {
		t.Fatalf("not ready: %q %s", run.stdout, run.stderr)
	}
	run.cmd.Process.Signal(unix.SIGINT)
	ends(t, run, 3)

	killed := p.start("run", "--name", "killed", "bb", "sh", "-c", forever)
	if !killed.stdout.await(ready, killed.ended) {
		t.Fatalf("not ready: %q %s", killed.stdout, killed.stderr)
	}
	killed.cmd.Process.Kill()
	killed.wait()
	p.must("rm", "-f", "killed")

	term := newTerminal(t, 33, 77)
	if err := os.Chown(term.own.Name(), int(p.who.Uid), int(p.who.Gid)); err != nil { // as login(1) does
		t.Fatal(err)
	}
	before := term.mode()
	run = term.run(p, "run", "--rm", "-it", "bb", "sh", "-c", `stty size; trap "echo got INT; exit 4" INT; `+forever)
	term.await(`^33 77\r$`)
	term.await(`^ready\r$`)
	term.typed("\x03")
	term.await("got INT")
	ends(t, run, 4)
	if after := term.mode(); after != before {
		t.Error("the terminal is not as it was")
	}
}

// TestOrdinaryUserDebian installs a package in a Debian, as a user with
// subordinate ids.
func TestOrdinaryUserDebian(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	archive := debianArchive(t, p.dir)
	packages := filepath.Join(p.dir, "packages")
	if err := os.Mkdir(packages, 0o777); err != nil || os.Chmod(packages, 0o777) != nil { // apt-get gives up root
		t.Fatal(err)
	}
	download := exec.Command("apt-get", "download", "hello")
	download.Dir = packages
	if out, err := download.CombinedOutput(); err != nil {
		t.Skipf("apt-get download: %v: %s", err, out)
	}
	p.must("import", archive, "debian")
	p.must("run", "--name", "one", "-v", packages+":/packages:ro", "debian", "sh", "-ec",
		"apt-get install -y /packages/hello_*.deb; useradd --create-home somebody")
	p.must("commit", "one", "debian:hello")
	if got := p.must("run", "--rm", "-u", "somebody", "debian:hello", "sh", "-c", "hello; stat -c '%U %u' ~"); got != "Hello, world!\nsomebody 1000" {
		t.Errorf("in the new image: %q", got)
	}
	if got := p.must("run", "--rm", "debian:hello", "dpkg", "--verify", "hello"); got != "" {
		t.Errorf("dpkg --verify: %s", got)
	}
	p.must("rm", "one")
	p.must("rmi", "debian:hello", "debian")
	p.must("gc", "-q")
}

// TestNoUserNamespaces checks what a user is told whom the kernel lets make none.
// The limit is set in a user namespace of the test's own, whose descendants it
// binds (namespaces(7), "/proc/sys/user").
func TestNoUserNamespaces(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	needs(t, "setpriv")
	p := newPlace(t)
	if err := errors.Join(openTo(p.dir), os.Chmod(p.dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{Size: 1 << 16}}
	cmd := exec.Command("sh", "-c",
		`echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid 1234 --regid 1234 --clear-groups "$0" images`, p.command().Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
	}
	cmd.Dir, cmd.Env = p.dir, p.env
	message := p.failed(1, "images", p.finish(cmd))
	if !strings.Contains(message, "user.max_user_namespaces is 0; as root: sysctl") {
		t.Errorf("no user namespaces: %q", message)
	}
}
