// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/internal/leak"
)

// A place is where one test works: a directory with a store of its own.
type place struct {
	t    testing.TB
	dir  string // its own
	root string // of the store
	bin  string // where strata is
	env  []string
	who  *syscall.Credential // the ordinary user who calls, or nil
}

// newPlace makes a place whose leaks are the test's failure.
func newPlace(t testing.TB) *place {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "place")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	leak.Check(t, dir)
	return placeAt(t, dir, filepath.Join(dir, "store"))
}

func placeAt(t testing.TB, dir, root string) *place {
	return &place{t: t, dir: dir, root: root, bin: os.Getenv(binEnv), env: append(os.Environ(), "STRATA_ROOT="+root, "TMPDIR="+dir, "LC_ALL=C")}
}

// command is strata, not yet started.
func (p *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, "strata"), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	if p.who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	}
	return cmd
}

// A result is what a command left: its exit code, output and message.
type result struct {
	code           int
	stdout, stderr string
}

func (p *place) try(args ...string) result {
	p.t.Helper()
	return p.finish(p.command(args...))
}

func (p *place) finish(cmd *exec.Cmd) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return result{exitCode(cmd.Run()), stdout.String(), stderr.String()}
}

// must runs strata, which succeeds, and returns its output without the newline.
func (p *place) must(args ...string) string {
	p.t.Helper()
	r := p.try(args...)
	if r.code != 0 {
		p.t.Fatalf("strata %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return strings.TrimSpace(r.stdout)
}

// fails runs strata, which fails with code, one line and nothing half-done, and
// returns the line.
func (p *place) fails(code int, args ...string) string {
	p.t.Helper()
	return p.failed(code, strings.Join(args, " "), p.try(args...))
}

func (p *place) failed(code int, what string, r result) string {
	p.t.Helper()
	if r.code != code {
		p.t.Errorf("strata %s: exit code %d, want %d: %s", what, r.code, code, r.stderr)
	}
	if problem := notOneLine(r.stderr); problem != "" {
		p.t.Errorf("strata %s: %s", what, problem)
	}
	if left := halfDone(p.root); len(left) > 0 {
		p.t.Errorf("strata %s: half-done: %q", what, left)
	}
	return strings.TrimSpace(r.stderr)
}

// start runs strata beside the test, which ends it at the latest.
func (p *place) start(args ...string) *program {
	p.t.Helper()
	return p.startCommand(p.command(args...))
}

func (p *place) startCommand(cmd *exec.Cmd) *program {
	p.t.Helper()
	run, err := startCommand(cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(run.kill)
	return run
}

// works checks that what every user does works, and that then nothing is left
// that nothing refers to.
func (p *place) works() {
	p.t.Helper()
	p.must("import", os.Getenv(rootfsEnv), "works")
	p.must("run", "--rm", "works", "true")
	p.must("create", "--name", "works", "works", "touch", "/made")
	p.must("start", "-a", "works")
	if got := p.must("diff", "works"); got != "A /made" {
		p.t.Errorf("diff after it: %q", got)
	}
	p.must("commit", "works", "works:2")
	p.must("run", "--rm", "works:2", "test", "-e", "/made")
	p.must("rm", "works")
	p.must("rmi", "works:2", "works")
	p.must("gc")
	if left := halfDone(p.root); len(left) > 0 {
		p.t.Errorf("half-done after gc: %q", left)
	}
	if trash, _ := filepath.Glob(p.root + "/trash/*"); len(trash) > 0 {
		p.t.Errorf("trash after gc: %q", trash)
	}
}

// containers are the directories of all containers.
func (p *place) containers() []string {
	found, _ := filepath.Glob(p.root + "/containers/*")
	return found
}
