// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// run is a command inside the test's own process.
func run(name, input string, args ...string) (status int, out, err string) {
	var stdout, stderr bytes.Buffer
	c := &Call{Name: name, Args: args, In: strings.NewReader(input), Out: bufio.NewWriter(&stdout), Err: &stderr}
	status = Run(Lookup(name), c)
	return status, stdout.String(), stderr.String()
}

func TestLookup(t *testing.T) {
	for _, name := range Names() {
		if Lookup(name) == nil {
			t.Errorf("%s is listed and not found", name)
		}
	}
	if Lookup("nosuch") != nil {
		t.Error("nosuch is found")
	}
}

func TestRegexps(t *testing.T) {
	for _, c := range []struct {
		from      func(string) string
		pattern   string
		matches   string
		unmatched string
	}{
		{fromBasic, `a+b`, "a+b", "aab"},
		{fromBasic, `a\+b`, "aab", "b"},
		{fromBasic, `^*ab`, "*ab", "ab"},
		{fromBasic, `a\{2\}`, "aa", "ab"},
		{fromBasic, `a{2}`, "a{2}", "aa"},
		{fromBasic, `\(a\|b\)c`, "bc", "cc"},
		{fromBasic, `[]a]x`, "]x", "bx"},
		{fromBasic, `[^]a]x`, "bx", "]x"},
		{fromBasic, `[[:digit:]-]x`, "-x", "ax"},
		{fromBasic, `a$b`, "a$b", "ab"},
		{fromBasic, `\.`, ".", "a"},
		{fromExtended, `(a|b)+c`, "abc", "c"},
		{fromExtended, `a\.b`, "a.b", "axb"},
		{fromExtended, `[\n]`, "\n", "a"},
		{fromExtended, `\<a`, "b a", "ba"},
	} {
		re, err := regexp.Compile(c.from(c.pattern))
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if !re.MatchString(c.matches) || re.MatchString(c.unmatched) {
			t.Errorf("%s is %s: want a match of %q and none of %q", c.pattern, re, c.matches, c.unmatched)
		}
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		mode     string
		old, new uint32
	}{
		{"644", 0o755, 0o644}, {"4755", 0, 0o4755}, {"u+x", 0o644, 0o744}, {"go-r", 0o644, 0o600}, {"a=rx", 0o777, 0o555},
		{"+x", 0o644, 0o755}, {"+w", 0o444, 0o644}, {"u=rw,g=u,o=", 0o777, 0o660}, {"u+s,g+s", 0o755, 0o6755}, {"+t", 0o755, 0o1755},
		{"a+X", 0o644, 0o644}, {"a+X", 0o744, 0o755}, {"g+ws", 0o755, 0o2775},
	} {
		got, err := ChangeMode(c.mode, unix.S_IFREG|c.old, 0o022)
		if err != nil || got != unix.S_IFREG|c.new {
			t.Errorf("%s of %o: got %o, %v, want %o", c.mode, c.old, got&0o7777, err, c.new)
		}
	}
	for _, mode := range []string{"", "999", "u", "x+r", "u+q", "17777", "u+r,"} {
		if got, err := ChangeMode(mode, 0o644, 0); err == nil {
			t.Errorf("%q: got %o, want an error", mode, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "10": 10, "4k": 4096, "1M": 1 << 20, "2GiB": 2 << 30, "1kB": 1000, "3b": 1536} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "1x", "-1", "9999999999G", "1kk"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0K", 1025: "1.1K", 10239: "10K", 1 << 20: "1.0M", 5 << 30: "5.0G"} {
		if got := humanSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// The fuzz targets run the little languages; Run turns a panic into 125.
func FuzzLanguages(f *testing.F) {
	f.Add("s/a\\(b*\\)/[\\1&]/gp;2,/x/{p;d};y/ab/cd/", "abb\nx\n")
	f.Add("%5.3d|%-*s|%b\\n", "12")
	f.Add("a-z[:upper:]\\n", "abc")
	f.Add("1 + ( 2 * 3 ) : x", "")
	f.Add("-n +2 -k1,2.3n -t : 5", "a:b\nb:a\n")
	f.Add("a[[:digit:]]*\\{1,2\\}$", "a12")
	f.Fuzz(func(t *testing.T, program, input string) {
		if strings.ContainsAny(program, "wWo") || len(program) > 200 || strings.ContainsAny(program, "bt") && strings.Contains(program, ":") ||
			regexp.MustCompile(`[0-9]{3}`).MatchString(program) {
			return // writes files (sed w, sort -o), may loop, or asks for a very wide field
		}
		words := strings.Fields(program)
		for name, args := range map[string][]string{
			"sed": {"-n", program}, "printf": {program, input}, "tr": {program, input}, "expr": words, "grep": {"-o", program},
			"sort": words, "cut": {"-f", program}, "test": words, "echo": {"-e", program}, "chmod": {program, "/nonexistent"},
		} {
			if status, _, text := run(name, input, args...); status == 125 {
				t.Errorf("%s %q: %s", name, args, text)
			}
		}
	})
}

func TestRunFailures(t *testing.T) {
	c := &Call{Name: "echo", Args: []string{"x"}, Out: bufio.NewWriter(failing{}), Err: io.Discard}
	if got := Run(echo, c); got != 1 {
		t.Errorf("a write that fails: status %d, want 1", got)
	}
	c = &Call{Name: "boom", Out: bufio.NewWriter(io.Discard), Err: io.Discard}
	if got := Run(func(*Call) int { panic("x") }, c); got != 125 {
		t.Errorf("a panic: status %d, want 125", got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, unix.ENOSPC }
