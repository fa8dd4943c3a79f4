// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// longAgo makes a container look as if it had been made an hour ago.
func longAgo(t *testing.T, cs *Containers, id string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(cs.dir, id), then, then); err != nil {
		t.Fatal(err)
	}
}

// TestDamaged checks that a container with a damaged record is named by List, is
// no rubbish, and can be removed with its name.
func TestDamaged(t *testing.T) {
	cs, dir := newContainers(t)
	create(t, cs, Record{Name: "whole"})
	for what, content := range map[string]string{
		"empty": "", "truncated": `{"version":1,"id":"`, "garbage": "\x00\xff\x00", "newer": `{"version":99}`,
	} {
		r := create(t, cs, Record{Name: "hurt"})
		if err := os.WriteFile(filepath.Join(cs.dir, r.ID, recordFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *RecordError
		entries, err := cs.List()
		if !errors.As(err, &damaged) || damaged.ID != r.ID || len(entries) != 1 {
			t.Errorf("%s: list: %d entries, %v", what, len(entries), err)
		}
		if err == nil || !strings.Contains(err.Error(), "strata rm -f "+r.ID[:12]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error does not say in one line what to do: %v", what, err)
		}
		if _, err := cs.Lock("hurt"); !errors.As(err, &damaged) {
			t.Errorf("%s: lock: %v", what, err)
		}
		if n, err := cs.Rubbish(os.RemoveAll); n != 0 || !errors.As(err, &damaged) {
			t.Errorf("%s: rubbish: %d, %v", what, n, err)
		}
		c, err := cs.LockToRemove(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(cs.Remove(c, os.RemoveAll), c.Close()); err != nil {
			t.Errorf("%s: remove: %v", what, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "names", "hurt")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the name is left: %v", what, err)
		}
		var unknown *UnknownError
		if _, err := cs.LockToRemove(r.ID); !errors.As(err, &unknown) {
			t.Errorf("%s: a removed one is locked: %v", what, err)
		}
	}
}

// otherHolds has another process take the lock of a container.
func otherHolds(t *testing.T, dir, name string) *exec.Cmd {
	t.Helper()
	other := exec.Command(os.Args[0], name)
	other.Env = append(os.Environ(), holdEnv+"="+dir)
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close() })
	output, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	return other
}

// killed checks that Kill finds the process, and that it was that one.
func killed(t *testing.T, cs *Containers, name string, other *exec.Cmd) {
	t.Helper()
	if killed, err := cs.Kill(name); !killed || err != nil {
		other.Process.Kill()
		t.Errorf("kill: %v, %v", killed, err)
	}
	if err := other.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("who had the lock: %v", err)
	}
}

// TestUnrecorded checks what is known of a container that runs and could not
// write its record: that it runs, and who has it.
func TestUnrecorded(t *testing.T) {
	cs, dir := newContainers(t)
	r := create(t, cs, Record{Name: "full"})
	other := otherHolds(t, dir, "full")
	if err := os.Remove(filepath.Join(cs.dir, r.ID, recordFile)); err != nil {
		t.Fatal(err)
	}
	longAgo(t, cs, r.ID)
	entries, err := cs.List()
	if err != nil || len(entries) != 1 || entries[0].Record.ID != r.ID || entries[0].Record.Name != "full" || entries[0].State.Status != Running {
		t.Errorf("list: %+v, %v", entries, err)
	}
	var damaged *RecordError
	if _, err := cs.Entry("full"); !errors.As(err, &damaged) {
		t.Errorf("entry: %v", err)
	}
	killed(t, cs, "full", other)
	if entries, err := cs.List(); err != nil || len(entries) != 0 {
		t.Errorf("list, when it is gone: %+v, %v", entries, err)
	}
}

// TestDamagedState checks that a state that cannot be read hides nothing: of a
// container that runs, who has it is found, and of another it is as if nobody
// had seen its end.
func TestDamagedState(t *testing.T) {
	cs, dir := newContainers(t)
	r := create(t, cs, Record{Name: "hurt"})
	other := otherHolds(t, dir, "hurt")
	if err := os.WriteFile(filepath.Join(cs.dir, r.ID, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged *RecordError
	if _, err := cs.Entry("hurt"); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "read its state") {
		t.Errorf("while it runs: %v", err)
	}
	killed(t, cs, "hurt", other)
	if e, err := cs.Entry("hurt"); err != nil || e.State.Status != Exited || e.State.ExitCode != unknownExit {
		t.Errorf("afterwards: %+v, %v", e.State, err)
	}
}

// TestKillNobody checks that a process that has a container's lock for another
// reason, or a container that does not run, is left alone.
func TestKillNobody(t *testing.T) {
	cs, _ := newContainers(t)
	r := create(t, cs, Record{Name: "idle"})
	if killed, err := cs.Kill("idle"); killed || err != nil {
		t.Errorf("one that does not run: %v, %v", killed, err)
	}
	c, err := cs.Lock("idle")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if killed, err := cs.Kill(r.ID); killed || err != nil {
		t.Errorf("one that somebody changes: %v, %v", killed, err)
	}
	var unknown *UnknownError
	if _, err := cs.Kill("nothing"); !errors.As(err, &unknown) {
		t.Errorf("none: %v", err)
	}
}
