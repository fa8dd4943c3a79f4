// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killAt ends a command after a moment with SIGKILL. The moment is no
// synchronisation: each is as good as another.
func killAt(t *testing.T, run *program, moment time.Duration) {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-run.ended:
	case <-timer.C:
		run.cmd.Process.Kill()
	}
	if _, ended := run.wait(); !ended {
		t.Fatal("a command survives SIGKILL")
	}
}

// awaitNoContainer waits until no process lives whose root is of the store.
func awaitNoContainer(t *testing.T, p *place) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		pids := processesOf(p.root + "/containers/")
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
			unix.Close(fd)
			if n == 0 {
				t.Fatalf("process %d of a container whose strata was killed still lives", pid)
			}
		}
	}
}

// processesOf are the live processes whose mount table has the text.
func processesOf(text string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid := 0
		for _, digit := range e.Name() {
			if digit < '0' || digit > '9' {
				pid = 0
				break
			}
			pid = pid*10 + int(digit-'0')
		}
		if pid == 0 {
			continue
		}
		if data, err := os.ReadFile("/proc/" + e.Name() + "/mountinfo"); err == nil && strings.Contains(string(data), text) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestKilledRun kills strata run at random moments. Its
// container ends with it, nothing stays mounted, and gc takes what is left.
func TestKilledRun(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	for i := range rounds(100, 1000) {
		args := []string{"run", "--rm", "--name", "killed", "bb", "sh", "-c", "echo x > /x; exec sleep 1000"}
		if i%4 == 0 {
			args = append([]string{"run", "--init"}, args[1:]...)
		}
		killAt(t, p.start(args...), time.Duration(rand.IntN(20_000))*time.Microsecond)
		awaitNoContainer(t, p)
	}
	if got := p.must("ps", "-a", "-q"); got != "" {
		t.Errorf("containers listed: %q", got)
	}
	p.must("gc", "-q")
	if left := p.containers(); len(left) > 0 {
		t.Errorf("containers left after gc: %q", left)
	}
	p.must("run", "--rm", "--name", "killed", "bb", "true")
	p.works()
}

// TestKilledKept does the same to containers that are kept: they can be started
// again, and what was written before is there.
func TestKilledKept(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("create", "--name", "kept", "bb", "sh", "-c", "echo line >> /log; test -e /go-on && exit 9; echo ready; exec sleep 1000")
	for range 5 {
		run := p.start("start", "-a", "kept")
		if !run.stdout.await(regexpReady, run.ended) {
			t.Fatalf("not ready: %q", run.stderr)
		}
		run.cmd.Process.Kill()
		run.wait()
		awaitNoContainer(t, p)
		if got := p.must("ps", "-q"); got != "" {
			t.Errorf("a killed container runs: %s", got)
		}
	}
	if got := p.must("diff", "kept"); got != "A /log" {
		t.Errorf("diff: %q", got)
	}
	p.must("commit", "kept", "img")
	if got := p.must("run", "--rm", "img", "wc", "-l", "/log"); got != "5 /log" {
		t.Errorf("lines: %q", got)
	}
	p.must("rm", "kept")
	p.works()
}

// TestKilledChanges kills import and commit at random moments: an image is there
// as a whole or not at all, and a container keeps its changes.
func TestKilledChanges(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("create", "--name", "con", "bb", "sh", "-c", "for i in $(seq 50); do echo $i > /file$i; done")
	p.must("start", "-a", "con")
	for range 20 {
		killAt(t, p.start("import", os.Getenv(rootfsEnv)+".tar", "killed"), time.Duration(rand.IntN(60_000))*time.Microsecond)
		killAt(t, p.start("commit", "con", "sealed"), time.Duration(rand.IntN(60_000))*time.Microsecond)
		if r := p.try("run", "--rm", "killed", "true"); r.code != 0 && !strings.Contains(r.stderr, "no such image") {
			t.Errorf("a half-done image: %+v", r)
		}
		if r := p.try("run", "--rm", "sealed", "cat", "/file50"); r.code != 0 && !strings.Contains(r.stderr, "no such image") {
			t.Errorf("a half-done commit: %+v", r)
		}
		p.must("export", "-o", "con.tar", "con")
		if !hasEntry(t, p.dir+"/con.tar", "file50") {
			t.Fatal("the container has lost what it wrote")
		}
	}
	p.must("gc", "-q")
	p.must("commit", "con", "sealed")
	if got := p.must("run", "--rm", "sealed", "cat", "/file50"); got != "50" {
		t.Errorf("after all: %q", got)
	}
	p.must("rm", "con")
	p.works()
}

func hasEntry(t *testing.T, archive, name string) bool {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			return false
		}
		if strings.TrimPrefix(h.Name, "./") == name {
			return true
		}
	}
}

// TestInterruptedImport sends Ctrl-C while an import waits for more: nothing is
// left of it.
func TestInterruptedImport(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGTERM} {
		p := newPlace(t)
		data, err := os.ReadFile(os.Getenv(rootfsEnv) + ".tar")
		if err != nil {
			t.Fatal(err)
		}
		cmd := p.command("import", "-", "half")
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		run := p.startCommand(cmd)
		if _, err := input.Write(data[:len(data)/2]); err != nil { // taken: it is reading
			t.Fatal(err)
		}
		run.cmd.Process.Signal(s)
		code, ended := run.wait()
		if !ended || code == 0 {
			t.Fatalf("import after %v: exit code %d, ended %v", s, code, ended)
		}
		p.failed(code, "import", result{code, run.stdout.String(), run.stderr.String()})
		input.Close()
		if got := p.must("images", "-q"); got != "" {
			t.Errorf("images: %q", got)
		}
		p.works()
	}
}
