// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// running starts a container called name that waits until it is killed, which
// the test does at its end.
func (p *place) running(name string, args ...string) *program {
	p.t.Helper()
	run := p.start(append(append([]string{"run", "--rm", "--name", name}, args...), "sh", "-c", forever)...)
	if !run.stdout.await(regexpReady, run.ended) {
		p.t.Fatalf("container %s does not begin: %q", name, run.stderr)
	}
	p.t.Cleanup(func() {
		p.try("rm", "-f", name)
		run.wait()
	})
	return run
}

func TestParallelExecs(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.running("one", "bb")
	for i, r := range together(p, 200, func(i int) []string {
		return []string{"exec", "-e", fmt.Sprintf("N=%d", i), "one", "sh", "-c", "echo $N; exit $((N % 100))"}
	}) {
		if r.code != i%100 || r.stdout != fmt.Sprintln(i) || r.stderr != "" {
			t.Errorf("exec %d: %+v", i, r)
		}
	}
	if got := p.must("exec", "one", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"); got != "5" { // sh, sleep; sh, ls, wc
		t.Errorf("processes are left: %s, want 5", got)
	}
	p.must("rm", "-f", "one")
}

// TestExecWhileContainersEnd runs commands in containers that begin and end
// meanwhile: each either runs, ends with its container, or says that there is
// none.
func TestExecWhileContainersEnd(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default: // some are gone before they are noted
				p.try("run", "--rm", "--name", "brief", "bb", "sh", "-c", fmt.Sprintf("sleep 0.0%d", i%4))
			}
		}
	}()
	clean := regexp.MustCompile(`^strata: exec: container brief(: no such container| is not running; start it first \(strata start -a brief\))\n$`)
	ran := 0
	for range rounds(200, 5000) {
		r := p.try("exec", "brief", "echo", "ran")
		switch {
		case r.code == 0 && r.stdout == "ran\n":
			ran++
		case r.code == 137 && r.stderr == "":
		case r.code == 1 && clean.MatchString(r.stderr):
		default:
			t.Errorf("exec: %+v", r)
		}
	}
	close(stop)
	<-ended
	t.Logf("%d ran", ran)
}

func TestExecTerminal(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.running("one", "bb")
	term := newTerminal(t, 33, 77)
	before := term.mode()
	run := term.run(p, "exec", "-it", "-u", "user", "one", "sh", "-c",
		`stty size; tty; echo $TERM; test -t 0 -a -t 1 -a -t 2 && echo all three; echo through >/dev/tty; stat -c owner-%u $(tty); trap "stty size" WINCH; trap "exit 4" INT; `+forever)
	for _, line := range []string{"33 77", "/dev/pts/0", "xterm", "all three", "through", "owner-1000", "ready"} {
		term.await("^" + line + `\r$`)
	}
	term.resize(44, 111)
	term.await(`^44 111\r$`)
	term.typed("\x03")
	ends(t, run, 4)
	if after := term.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, was %+v", after, before)
	}
	if got := p.must("exec", "-t", "one", "sh", "-c", "test -t 1 && tty"); got != "/dev/pts/0" {
		t.Errorf("-t without a terminal of our own: %q", got)
	}
	p.must("rm", "-f", "one")
}

// TestExecInTamperedContainer runs commands where the container's own root has
// put something else in the place of what exec reads.
func TestExecInTamperedContainer(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	secret := filepath.Join(p.dir, "secret")
	if err := os.WriteFile(secret, []byte("evil:x:4242:4242::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(p.dir, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	p.running("one", "-v", etc+":/etc", "bb")
	for name, c := range map[string]struct{ script, message string }{
		"a fifo":           {"mkfifo /etc/passwd", "it is not a regular file"},
		"a directory":      {"mkdir /etc/passwd", "it is not a regular file"},
		"a device":         {"ln -s /dev/zero /etc/passwd", "it is not a regular file"},
		"a terminal":       {"ln -s /dev/ptmx /etc/passwd", "it is not a regular file"},
		"a descriptor":     {"ln -s /proc/1/fd/0 /etc/passwd", "too many levels of symbolic links"},
		"the way out":      {"ln -s /proc/1/root/bin/sh /etc/passwd", "too many levels of symbolic links"},
		"a loop":           {"ln -s passwd /etc/passwd", "too many levels of symbolic links"},
		"of the host":      {"ln -s " + secret + " /etc/passwd", "unable to find user evil"},
		"up and out":       {"ln -s ../../../../../../.." + secret + " /etc/passwd", "unable to find user evil"},
		"too large":        {"dd if=/dev/zero of=/etc/passwd bs=1M seek=10 count=1 2>/dev/null; echo >> /etc/passwd", "larger than 10 MiB"},
		"not a table":      {"dd if=/dev/urandom of=/etc/passwd bs=4096 count=16 2>/dev/null", "evil"},
		"an id beyond all": {"echo evil:x:4294967296:0::/:/bin/sh > /etc/passwd", "evil"},
		"a negative id":    {"echo evil:x:-1:0::/:/bin/sh > /etc/passwd", "evil"},
	} {
		script := "cd " + etc + "; rm -rf passwd; " + strings.ReplaceAll(c.script, "/etc/passwd", etc+"/passwd")
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		r := p.try("exec", "-u", "evil", "one", "id")
		if r.code != 1 || !strings.Contains(r.stderr, c.message) || notOneLine(r.stderr) != "" {
			t.Errorf("/etc/passwd is %s: %+v", name, r)
		}
	}
	if err := os.RemoveAll(filepath.Join(etc, "passwd")); err != nil {
		t.Fatal(err)
	}
	if r := p.try("exec", "-w", "/proc/1/cwd/../../../proc/self/fd/4", "one", "pwd"); r.code == 0 {
		t.Errorf("a directory of the host: %+v", r)
	}
	p.must("rm", "-f", "one")
}

// TestExecBinaryOverwritten runs commands in a container in which a process
// reaches for the program that runs them (CVE-2019-5736), and in which commands
// lead to it.
func TestExecBinaryOverwritten(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	unchanged := ownBinary(t, p)
	rootfs := filepath.Join(p.dir, "rootfs")
	probeRootfs(t, rootfs)
	if err := os.WriteFile(filepath.Join(rootfs, "script"), []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.must("import", rootfs, "probe")
	run := p.start("run", "--rm", "--name", "one", "probe", "/probe", "watch")
	if !run.stdout.await(regexpReady, run.ended) {
		t.Fatalf("the watcher does not begin: %q", run.stderr)
	}
	for i := range rounds(1000, 10_000) {
		var r result
		switch i % 4 {
		case 0:
			r = p.try("exec", "one", "/script")
		case 1:
			r = p.try("exec", "one", "/proc/self/exe", "version")
		default:
			r = p.try("exec", "one", "/probe", "nothing")
		}
		if strings.Contains(r.stdout, "strata") {
			t.Errorf("a command in the container was ours: %+v", r)
		}
		if text := run.stdout.String(); text != "ready\n" {
			t.Fatalf("reached after %d commands: %q", i, text)
		}
	}
	unchanged()
	p.must("rm", "-f", "one")
	run.wait()
}

// TestExecIsEndedBySignals ends a command whose process the container has stopped.
func TestExecIsEndedBySignals(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.running("one", "bb")
	run := p.start("exec", "one", "sh", "-c", `trap "" INT; echo ready; kill -STOP $$; echo not this`)
	if !run.stdout.await(regexpReady, run.ended) {
		t.Fatalf("no output: %q", run.stderr)
	}
	for run.cmd.Process.Signal(unix.SIGINT) == nil { // until it has ended: some become one
		runtime.Gosched()
	}
	ends(t, run, 137)
	p.must("rm", "-f", "one")
}

// TestExecLeavesTerminal ends a command that leaves another behind with its
// terminal open.
func TestExecLeavesTerminal(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.running("one", "bb")
	term := newTerminal(t, 24, 80)
	run := term.run(p, "exec", "-it", "one", "sh", "-c", `trap "" HUP; sleep 1000 & echo the end; exit 5`)
	ends(t, run, 5)
	term.await(`^the end\r+$`)
	p.must("rm", "-f", "one")
}
