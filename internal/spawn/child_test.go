// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// What the child does first it does before Continue: the pipe has its line.
func TestFirstCallsAreMadeBeforeTheRest(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := new(List)
	first.Add(Call{Name: "write", Nr: unix.SYS_WRITE, Args: [6]uintptr{w.Fd(), first.String("first\n"), 6}})
	c, err := Begin(first, Options{Namespaces: unix.CLONE_NEWUTS})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(r)
	if !lines.Scan() || lines.Text() != "first" {
		t.Errorf("before Continue the child wrote %q", lines.Text())
	}
	p, err := c.Continue(program(w, "echo rest"))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Pidfd.Close()
	if !lines.Scan() || lines.Text() != "rest" {
		t.Errorf("after Continue the child wrote %q", lines.Text())
	}
	p.Wait()
}

func TestNextParts(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	say := func(text string) *List {
		l := new(List)
		l.Add(Call{Name: "write", Nr: unix.SYS_WRITE, Args: [6]uintptr{w.Fd(), l.String(text), uintptr(len(text))}})
		return l
	}
	c, err := Begin(say("a"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"b", "c", "d"} { // sooner than the child can be done with each
		if err := c.Next(say(text)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := c.Continue(program(w, "echo e"))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Pidfd.Close()
	if got, _ := io.ReadAll(r); string(got) != "abcde\n" {
		t.Errorf("the child wrote %q", got)
	}
	p.Wait()
}

func TestSpans(t *testing.T) {
	begun := time.Now()
	c, err := Begin(new(List), Options{Namespaces: unix.CLONE_NEWUTS})
	if err != nil {
		t.Fatal(err)
	}
	rest := new(List)
	rest.Add(Call{Name: "getpid", Nr: unix.SYS_GETPID}, Call{Name: "skip", Nr: unix.SYS_GETPID, SkipOnPositive: 1}, Call{Name: "skipped", Nr: unix.SYS_GETPID}, shell(rest, "true"))
	p, err := c.Continue(rest)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var sum time.Duration
	for _, s := range c.Spans() {
		if s.Took < 0 {
			t.Errorf("%s took %v", s.Name, s.Took)
		}
		names, sum = append(names, s.Name), sum+s.Took
	}
	if all := time.Since(begun); sum > all {
		t.Errorf("the spans are %v together, all took %v", sum, all)
	}
	want := []string{"clone", "set signals to their default", "die with the parent", "wait for the parent",
		"take descriptors of its own", "getpid", "skip", "execute the program"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	p.Wait()
	p.Pidfd.Close()
}

func TestFirstCallFails(t *testing.T) {
	first := new(List)
	first.Add(Call{Name: "close nothing", Nr: unix.SYS_CLOSE, Args: [6]uintptr{1 << 20}})
	c, err := Begin(first, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rest := new(List)
	rest.Add(shell(rest, "true"))
	_, err = c.Continue(rest)
	var failed *Error
	if want := (Error{"close nothing", false, unix.EBADF}); !errors.As(err, &failed) || *failed != want {
		t.Errorf("got %v, want %v", err, &want)
	}
	noChildren(t)
}

func TestAbandon(t *testing.T) {
	for range 20 { // at whatever moment of the clone it comes
		c, err := Begin(new(List), Options{Namespaces: unix.CLONE_NEWNET | unix.CLONE_NEWPID})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Abandon(); err != nil {
			t.Error(err)
		}
	}
	noChildren(t)
}

func TestCloneFails(t *testing.T) {
	c, err := Begin(new(List), Options{Namespaces: unix.CLONE_NEWUSER | unix.CLONE_FS})
	if err != nil {
		t.Fatal(err)
	}
	var failed *Error
	if _, err := c.Continue(new(List)); !errors.As(err, &failed) || failed.Errno != unix.EINVAL {
		t.Errorf("got %v, want EINVAL of the clone", err)
	}
	noChildren(t)
}

func noChildren(t *testing.T) {
	t.Helper()
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: wait4 says %v", err)
	}
}
