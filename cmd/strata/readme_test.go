// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A step is a command that a document shows, with what it prints.
type shownStep struct {
	line    int
	command string
	output  []string
	code    int // shown as a last line like [1]; nothing is 0
}

// shownSteps are the commands of the ```console blocks of a document: lines
// that begin with "$ ", each with the lines up to the next.
func shownSteps(document string) (steps []shownStep) {
	inside := false
	for i, line := range strings.Split(document, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case isCommand:
			steps = append(steps, shownStep{line: i + 1, command: command})
		case len(steps) > 0:
			last := &steps[len(steps)-1]
			last.output = append(last.output, line)
		}
	}
	for i := range steps {
		steps[i].takeCode()
	}
	return steps
}

func (s *shownStep) takeCode() {
	if n := len(s.output) - 1; n >= 0 {
		if code, ok := strings.CutPrefix(s.output[n], "["); ok {
			if number, err := strconv.Atoi(strings.TrimSuffix(code, "]")); err == nil {
				s.code, s.output = number, s.output[:n]
			}
		}
	}
}

// matches reports whether output is what is shown; "…" stands for anything.
func (s *shownStep) matches(output string) bool {
	pattern := regexp.QuoteMeta(strings.Join(s.output, "\n"))
	pattern = strings.ReplaceAll(pattern, "…", "(?s:.*)")
	return regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimRight(output, "\n"))
}

func TestShownSteps(t *testing.T) {
	steps := shownSteps("text\n$ not this\n```console\n$ one\na…c\n\n…\nz\n[3]\n$ two\n```\n```sh\n$ nor this\n```\n")
	want := []shownStep{{4, "one", []string{"a…c", "", "…", "z"}, 3}, {10, "two", nil, 0}}
	if diff := cmp.Diff(want, steps, cmp.AllowUnexported(shownStep{})); diff != "" {
		t.Fatal(diff)
	}
	for output, matches := range map[string]bool{
		"abc\n\nmany\nlines\nz\n": true, "ac\n\n\nz": true, "abc\n\nz\n": false, "abc\n\nx\nz\nmore": false, "": false,
	} {
		if steps[0].matches(output) != matches {
			t.Errorf("matches(%q) is not %v", output, matches)
		}
	}
	if !steps[1].matches("") || steps[1].matches("something") {
		t.Error("no output is not compared")
	}
}

// TestReadme runs what the README shows, in order, in one shell.
func TestReadme(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	document, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := shownSteps(string(document))
	if len(steps) == 0 {
		t.Fatal("the README shows nothing")
	}
	p := newPlace(t)
	needsMini(t, p)
	shell := startShell(t, p)
	for _, s := range steps {
		output, code := shell.run(s.command)
		if code != s.code || !s.matches(output) {
			t.Errorf("README.md:%d: $ %s\nexit code %d, want %d\noutput:\n%s\nshown:\n%s", s.line, s.command, code, s.code, output, strings.Join(s.output, "\n"))
		}
	}
}

// needsMini skips where the embedded image is not in the binary.
func needsMini(t *testing.T, p *place) {
	t.Helper()
	if r := p.try("run", "--rm", "mini", "true"); r.code != 0 {
		if !strings.Contains(r.stderr, "make") {
			t.Errorf("without mini the message does not say how to get it: %q", r.stderr)
		}
		t.Skip("mini is not built in (make mini): ", r.stderr)
	}
}

// A shell runs commands one after the other.
type shell struct {
	t      *testing.T
	input  io.WriteCloser
	output *bufio.Reader
}

func startShell(t *testing.T, p *place) *shell {
	cmd := exec.Command("sh")
	cmd.Dir, cmd.Env = p.dir, p.env
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err == nil {
		cmd.Stderr = cmd.Stdout
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait()
	})
	return &shell{t, input, bufio.NewReader(output)}
}

// run returns what the command prints, errors among it, and its exit code.
func (s *shell) run(command string) (string, int) {
	const mark = "end of the step: "
	fmt.Fprintf(s.input, "{ %s\n} </dev/null 2>&1; printf '\\n%s%%d\\n' $?\n", command, mark)
	var lines strings.Builder
	for {
		line, err := s.output.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the shell ended at %q: %v", command, err)
		}
		if code, ok := strings.CutPrefix(line, mark); ok {
			number, _ := strconv.Atoi(strings.TrimSpace(code))
			return strings.TrimSuffix(lines.String(), "\n"), number
		}
		lines.WriteString(line)
	}
}

// TestDemo runs what `make demo` runs, with the binaries of the test.
func TestDemo(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	needsMini(t, p)
	script, err := os.ReadFile("../../demo.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "demo.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Getenv(binEnv), filepath.Join(p.dir, "bin")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./demo.sh")
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo.sh: %v\n%s", err, out)
	}
	for _, want := range []string{"A /tmp/tmpfile.txt", "C /etc/profile", "EDITOR", "200", "Containers"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
}
