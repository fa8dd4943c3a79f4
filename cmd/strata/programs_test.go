// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/leak"
)

// patience is how long a test waits for what must come.
var patience = leak.Patience()

// output collects what a program writes, for those who wait for it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer  // guarded by mu
	changed chan struct{} // closed and made anew by each write; guarded by mu
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *output) String() string { text, _ := o.read(); return text }

// await returns whether the pattern was written before the program ended.
func (o *output) await(pattern *regexp.Regexp, ended <-chan struct{}) bool {
	late := time.After(patience)
	for {
		text, changed := o.read()
		if pattern.MatchString(text) {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			return pattern.MatchString(o.String())
		case <-late:
			return false
		}
	}
}

// A program runs beside a test.
type program struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	ended          chan struct{} // closed when it has, and err is set
	err            error
}

func startCommand(cmd *exec.Cmd) (*program, error) {
	p := &program{cmd: cmd, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// wait returns the exit code, or false after too long.
func (p *program) wait() (int, bool) {
	select {
	case <-p.ended:
		return exitCode(p.err), true
	case <-time.After(patience):
		return 0, false
	}
}

func (p *program) kill() {
	p.cmd.Process.Kill()
	p.wait()
}

// programs are those of a script.
type programs struct{ named map[string]*program }

type programsKey struct{}

func programsOf(ts *script) *programs { return ts.Value(programsKey{}).(*programs) }

func (ps *programs) kill() {
	for _, p := range ps.named {
		p.kill()
	}
}

func findProgram(ts *script, name string) *program {
	p := programsOf(ts).named[name]
	if p == nil {
		ts.Fatalf("no program %s was started", name)
	}
	return p
}

// startProgram takes "<FILE" as its first word after the name for the standard
// input; without it that is a pipe that stays open and empty.
func startProgram(ts *script, args []string) {
	name, args := args[0], args[1:]
	var input io.Reader
	if file, ok := strings.CutPrefix(args[0], "<"); ok {
		f, err := os.Open(ts.MkAbs(file))
		ts.Check(err)
		defer f.Close()
		input, args = f, args[1:]
	}
	cmd := exec.Command(inPath(ts, args[0]), args[1:]...)
	cmd.Dir, cmd.Stdin = ts.MkAbs("."), input
	for _, v := range []string{"STRATA_ROOT", "HOME", "TMPDIR", "WORK", "PATH"} {
		cmd.Env = append(cmd.Env, v+"="+ts.Getenv(v))
	}
	p, err := startCommand(cmd)
	ts.Check(err)
	ps := programsOf(ts)
	if ps.named == nil {
		ps.named = map[string]*program{}
	}
	ps.named[name] = p
}

// inPath finds a program in the script's PATH.
func inPath(ts *script, name string) string {
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), ":") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

func until(ts *script, args []string) {
	p := findProgram(ts, args[0])
	if !p.stdout.await(regexp.MustCompile("(?m)"+args[1]), p.ended) {
		ts.Fatalf("%s has not written %q: output %q, errors %q", args[0], args[1], p.stdout, p.stderr)
	}
}

func signalProgram(ts *script, args []string) {
	number := unix.SignalNum("SIG" + args[1])
	if number == 0 {
		ts.Fatalf("no signal %s", args[1])
	}
	ts.Check(findProgram(ts, args[0]).cmd.Process.Signal(number))
}

func finish(ts *script, args []string) {
	p := findProgram(ts, args[0])
	code, ok := p.wait()
	if !ok {
		ts.Fatalf("%s has not ended: output %q, errors %q", args[0], p.stdout, p.stderr)
	}
	delete(programsOf(ts).named, args[0])
	io.WriteString(ts.Stdout(), p.stdout.String())
	io.WriteString(ts.Stderr(), p.stderr.String())
	if strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s: exit code %d, want %s; output %q, errors %q", args[0], code, args[1], p.stdout, p.stderr)
	}
}

// regexpReady is what programs in containers say when they are.
var regexpReady = regexp.MustCompile(`(?m)^ready\r?$`)
