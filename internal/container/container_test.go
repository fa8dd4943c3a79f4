// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strata/internal/leak"
)

// holdEnv makes the test program a process that takes the lock of a container
// in the directory named, says so, and waits for its input to end.
const holdEnv = "STRATA_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		os.Exit(hold(dir, os.Args[len(os.Args)-1]))
	}
	os.Exit(leak.Main(m))
}

func hold(dir, name string) int {
	c, err := Open(dir+"/containers", dir+"/names").Lock(name)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	c.Close()
	return 0
}

// lease counts its closing.
type lease struct{ closed int }

func (l *lease) Close() error { l.closed++; return nil }

func newContainers(t *testing.T) (*Containers, string) {
	t.Helper()
	dir := t.TempDir()
	leak.Check(t, dir)
	for _, sub := range []string{"containers", "names", "trash"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return Open(dir+"/containers", dir+"/names"), dir
}

// create makes a container and closes it.
func create(t *testing.T, cs *Containers, r Record) Record {
	t.Helper()
	if r.ID == "" {
		r.ID = NewID()
	}
	l := &lease{}
	c, err := cs.Create(r, l)
	if err == nil {
		err = errors.Join(c.Publish(), c.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if l.closed != 1 {
		t.Errorf("the lease was closed %d times", l.closed)
	}
	return r
}

func TestCreate(t *testing.T) {
	cs, _ := newContainers(t)
	created := time.Now().UTC().Truncate(time.Second)
	l := &lease{}
	c, err := cs.Create(Record{ID: NewID(), Name: "one", Created: created}, l)
	if err != nil {
		t.Fatal(err)
	}
	if l.closed != 1 {
		t.Errorf("the lease was closed %d times once the record was written", l.closed)
	}
	for _, dir := range []string{c.UpperPath(), c.WorkPath()} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", dir, entries, err)
		}
	}
	if s, err := readState(c.dir, c.Record.ID); err != nil || s.Status != Created {
		t.Errorf("state %+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	e, err := cs.Entry("one")
	if err != nil || e.Record.ID != c.Record.ID || !e.Record.Created.Equal(created) {
		t.Errorf("entry %+v, %v", e, err)
	}
}

// TestNames checks when a name is taken: only while its container is there.
func TestNames(t *testing.T) {
	cs, dir := newContainers(t)
	one := create(t, cs, Record{Name: "name"})
	var taken *NameError
	l := &lease{}
	if _, err := cs.Create(Record{ID: NewID(), Name: "name"}, l); !errors.As(err, &taken) || taken.ID != one.ID {
		t.Fatalf("a taken name: %v", err)
	}
	if l.closed != 1 {
		t.Error("the lease of a container that was not made is kept")
	}
	if ids, err := cs.ids(); err != nil || len(ids) != 1 {
		t.Errorf("the refused container left a directory: %v, %v", ids, err)
	}
	c, err := cs.Lock("name")
	if err != nil {
		t.Fatal(err)
	}
	if err := cs.Remove(c, os.RemoveAll); err != nil {
		t.Fatal(err)
	}
	c.Close()
	create(t, cs, Record{Name: "name"})

	// left over: the container's directory went and the name did not
	for _, target := range []string{"../containers/" + NewID(), "nowhere", "../containers/", "/"} {
		link := filepath.Join(dir, "names", "stale")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		_, err := cs.Find("stale")
		var unknown *UnknownError
		if !errors.As(err, &unknown) && target != "/" && target != "../containers/" {
			t.Errorf("a name that points to %s: %v", target, err)
		}
		os.Remove(link)
	}
	os.Symlink("../containers/"+NewID(), filepath.Join(dir, "names", "stale"))
	stale := create(t, cs, Record{Name: "stale"})
	if id, err := cs.Find("stale"); id != stale.ID || err != nil {
		t.Errorf("a stale name taken again: %s, %v", id, err)
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"aa", "A0", "0a", "a.b-c_d", "a..", strings.Repeat("x", 128)} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a", ".a", "-a", "_a", "a b", "a/b", "..", "a\n", "a\x00", "ä1", "aä", strings.Repeat("x", 129), "a:b", "a@b"} {
		if CheckName(bad) == nil {
			t.Errorf("the name %q is accepted", bad)
		}
	}
}

func TestFind(t *testing.T) {
	cs, _ := newContainers(t)
	a := create(t, cs, Record{ID: "aa" + NewID()[2:], Name: "first"})
	b := create(t, cs, Record{ID: "ab" + NewID()[2:]})
	c := create(t, cs, Record{ID: "ff" + NewID()[2:], Name: "ab"}) // a name that is also the beginning of an ID
	for name, want := range map[string]string{
		"first": a.ID, a.ID: a.ID, a.ID[:12]: a.ID, "aa": a.ID, AutoName(b.ID): b.ID, b.ID[:3]: b.ID, "ab": c.ID, "f": c.ID,
	} {
		if got, err := cs.Find(name); err != nil || got != want {
			t.Errorf("find %q: %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := cs.Find("a"); err == nil || !strings.Contains(err.Error(), "2 containers") {
		t.Errorf("an ambiguous beginning: %v", err)
	}
	for _, name := range []string{"", "frist", "..", "/", a.ID + "0", "../containers/" + a.ID} {
		var unknown *UnknownError
		_, err := cs.Find(name)
		if !errors.As(err, &unknown) {
			t.Errorf("find %q: %v", name, err)
		}
		if name == "frist" && !slices.Contains(unknown.Nearest, "first") {
			t.Errorf("near %q: %v", name, unknown.Nearest)
		}
	}
}

func TestAutoName(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		name := AutoName(NewID())
		if CheckName(name) != nil || seen[name] {
			t.Fatalf("name %q", name)
		}
		seen[name] = true
	}
}

// TestLocks checks that a container is one process's at a time, and free when
// that process is gone.
func TestLocks(t *testing.T) {
	cs, dir := newContainers(t)
	r := create(t, cs, Record{Name: "held"})
	other := exec.Command(os.Args[0], "held")
	other.Env = append(os.Environ(), holdEnv+"="+dir)
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	var busy *BusyError
	if _, err := cs.Lock("held"); !errors.As(err, &busy) {
		t.Fatalf("a container that another process holds: %v", err)
	}
	if n, err := cs.Rubbish(os.RemoveAll); n != 0 || err != nil {
		t.Errorf("a held container is rubbish: %d, %v", n, err)
	}
	locked := make(chan error, 1)
	go func() {
		c, err := cs.WaitLock(r.ID[:20])
		if err == nil {
			err = c.Close()
		}
		locked <- err
	}()
	other.Process.Kill() // the lock goes with the process
	other.Wait()
	if err := <-locked; err != nil {
		t.Errorf("WaitLock: %v", err)
	}
}

// TestRunningIsTrueOnlyWhileHeld checks that a state file cannot lie.
func TestRunningIsTrueOnlyWhileHeld(t *testing.T) {
	cs, _ := newContainers(t)
	create(t, cs, Record{Name: "run"})
	c, err := cs.Lock("run")
	if err != nil {
		t.Fatal(err)
	}
	running := NewRunning(os.Getpid(), time.Now())
	if err := c.SetState(running); err != nil {
		t.Fatal(err)
	}
	if !running.Alive() {
		t.Error("this process is not alive")
	}
	if e, err := cs.Entry("run"); err != nil || e.State.Status != Running || e.State.Pid != os.Getpid() {
		t.Errorf("while held: %+v, %v", e.State, err)
	}
	c.Close()
	if e, err := cs.Entry("run"); err != nil || e.State.Status != Exited || e.State.ExitCode != unknownExit || e.State.Pid != 0 {
		t.Errorf("once free: %+v, %v", e.State, err)
	}
	for _, s := range []State{
		{Status: Running, Pid: os.Getpid(), BootID: "another", Ticks: running.Ticks},
		{Status: Running, Pid: os.Getpid(), BootID: running.BootID, Ticks: running.Ticks + 1},
		{Status: Exited, Pid: os.Getpid(), BootID: running.BootID, Ticks: running.Ticks},
		{Status: Running, Pid: 1 << 30, BootID: running.BootID},
	} {
		if s.Alive() {
			t.Errorf("%+v is alive", s)
		}
	}
}

// TestRubbish checks what is rubbish, and that nothing else is taken.
func TestRubbish(t *testing.T) {
	cs, dir := newContainers(t)
	kept := create(t, cs, Record{Name: "kept"})
	auto := create(t, cs, Record{Name: "auto", AutoRemove: true})
	held, err := cs.Create(Record{ID: NewID(), Name: "held", AutoRemove: true}, &lease{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	longAgo(t, cs, held.Record.ID)
	unfinished, damaged := NewID(), NewID()
	for _, id := range []string{unfinished, damaged} {
		if err := os.MkdirAll(filepath.Join(dir, "containers", id, "upper"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "containers", damaged, recordFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Symlink("../containers/"+NewID(), filepath.Join(dir, "names", "stale"))
	if entries, err := cs.List(); err == nil || len(entries) != 2 || entries[0].Record.ID != held.Record.ID || entries[1].Record.ID != kept.ID {
		t.Errorf("list: %v, %v; want the kept one, the one that is held, and an error for the damaged", entries, err)
	}
	var taken []string
	n, err := cs.Rubbish(func(path string) error {
		taken = append(taken, filepath.Base(path))
		return os.RemoveAll(path)
	})
	slices.Sort(taken)
	want := []string{auto.ID, unfinished}
	slices.Sort(want)
	if n != 2 || !slices.Equal(taken, want) {
		t.Errorf("%d taken: %v, want %v", n, taken, want)
	}
	if err == nil || !strings.Contains(err.Error(), "read its record") {
		t.Errorf("the damaged record: %v", err)
	}
	names, err := os.ReadDir(filepath.Join(dir, "names"))
	if err != nil || len(names) != 2 {
		t.Errorf("names: %v, %v, want those of the two that are left", names, err)
	}
}

// TestMounted checks that a note of a mount is of this boot only.
func TestMounted(t *testing.T) {
	cs, _ := newContainers(t)
	create(t, cs, Record{Name: "mounted"})
	c, err := cs.Lock("mounted")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if at := c.Mounted(); at != "" {
		t.Errorf("mounted at %q", at)
	}
	if err := errors.Join(c.SetMounted(""), c.SetMounted("/a b/c")); err != nil {
		t.Fatal(err)
	}
	if at := c.Mounted(); at != "/a b/c" {
		t.Errorf("mounted at %q", at)
	}
	if err := os.WriteFile(filepath.Join(c.path, mountFile), []byte("another-boot /a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if at := c.Mounted(); at != "" {
		t.Errorf("after a boot mounted at %q", at)
	}
	if err := c.SetMounted(""); err != nil || c.Mounted() != "" {
		t.Errorf("unmounted: %v", err)
	}
}

// TestRenewUpper checks both ends of an interrupted commit.
func TestRenewUpper(t *testing.T) {
	cs, _ := newContainers(t)
	create(t, cs, Record{Name: "one"})
	c, err := cs.Lock("one")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := os.WriteFile(filepath.Join(c.UpperPath(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.RenewUpper(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.UpperPath(), "file")); err != nil {
		t.Errorf("an upperdir that is there lost what it had: %v", err)
	}
	os.RemoveAll(c.UpperPath())
	if err := c.RenewUpper(); err != nil {
		t.Fatal(err)
	}
	upper, err := c.OpenUpper()
	if err != nil {
		t.Fatal(err)
	}
	upper.Close()
}
