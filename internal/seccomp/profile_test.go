// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestBadProfiles names what is wrong and what to do, in one line.
func TestBadProfiles(t *testing.T) {
	for profile, want := range map[string]string{
		"":                                    "it is not JSON in Docker's form: EOF",
		"{":                                   "it is not JSON in Docker's form: unexpected EOF",
		"null":                                "for none use unconfined",
		"[]":                                  "cannot unmarshal array",
		`{"defaultAction":1}`:                 "defaultAction",
		`{} {}`:                               "it goes on after the end of the JSON",
		`{}`:                                  "default: it has no action; name one",
		`{"defaultAction":"SCMP_ACT_NO"}`:     `default: action "SCMP_ACT_NO" is unknown; use SCMP_ACT_ALLOW, `,
		`{"defaultAction":"SCMP_ACT_NOTIFY"}`: "default: action SCMP_ACT_NOTIFY is not supported",
		`{"defaultAction":"SCMP_ACT_KILL","defaultErrnoRet":1}`:                                                                              "default: action SCMP_ACT_KILL takes no errno",
		`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}`:                                                                          "errno 4096 is too large; the most for SCMP_ACT_ERRNO is 4095",
		`{"defaultAction":"SCMP_ACT_TRACE","defaultErrnoRet":65536}`:                                                                         "the most for SCMP_ACT_TRACE is 65535",
		`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS"}`:                                                                         "give its number as defaultErrnoRet",
		`{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}`:                                                                                    `unknown field "sycalls"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]}`:                                                                                   `flag "X" is unknown; use SECCOMP_FILTER_FLAG_LOG`,
		`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X"]}`:                                                                           `architecture "X" is unknown; use names such as SCMP_ARCH_X86_64`,
		`{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}`:                                              "is not supported",
		`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{}]}`:                                                "leave one of them out",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ERRNO"}]}`:                                                        "rule 1: it names no system call",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ERRNO"}]}`:                               `rule 1 ("b"): it has both name and names`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a","b","c","d"],"action":"X"}]}`:                                           `rule 1 ("a, b, c, …"): action "X" is unknown`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","errno":"EPERM"}]}`:                          "give its number as errnoRet",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","args":[{"op":"X"}]}]}`:                      `rule 1 ("a"): operator "X" is unknown; use SCMP_CMP_EQ, `,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}]}`:  "there is no argument 6",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","args":[{"index":-1,"op":"SCMP_CMP_EQ"}]}]}`: "index",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["no_such","nor_this"],"action":"SCMP_ACT_ERRNO"}]}`:                         "none of its rules names a system call that is known",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":"four"}}]}`:       `minKernel "four": write it as "4.8"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":4.8}}]}`:          `minKernel 4.8: write it as "4.8"`,
		// wrong even where the rule does not hold today
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"X","includes":{"arches":["s390"]}}]}`: `action "X" is unknown`,
		strings.Repeat(" ", MaxProfile) + "{}": "it is larger than",
	} {
		p, err := Parse([]byte(profile))
		if err == nil {
			_, err = p.Compile(Target{Arch: "amd64"})
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "seccomp profile: ") {
			t.Errorf("%.120s: got %v, want %q", profile, err, want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.120s: more than one line: %v", profile, err)
		}
	}
	if _, err := builtinProfile(t).Compile(Target{Arch: "riscv64"}); err == nil || !strings.Contains(err.Error(), "architecture riscv64") {
		t.Errorf("another machine: %v", err)
	}
}

// TestConditions holds the conditions of a rule to Docker's rules.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		scopes string
		target Target
		holds  bool
	}{
		{``, Target{Arch: "amd64"}, true},
		{`"includes":{},"excludes":{}`, Target{Arch: "amd64"}, true},
		{`"includes":{"arches":["arm64","amd64"]}`, Target{Arch: "amd64"}, true},
		{`"includes":{"arches":["x86"]}`, Target{Arch: "amd64"}, false},
		{`"excludes":{"arches":["amd64"]}`, Target{Arch: "amd64"}, false},
		{`"excludes":{"arches":["amd64"]}`, Target{Arch: "arm64"}, true},
		{`"includes":{"caps":["CAP_BPF"]}`, Target{Arch: "amd64", Capabilities: []string{"CAP_BPF"}}, true},
		{`"includes":{"caps":["CAP_BPF","CAP_KILL"]}`, Target{Arch: "amd64", Capabilities: []string{"CAP_BPF"}}, false},
		{`"excludes":{"caps":["CAP_BPF","CAP_KILL"]}`, Target{Arch: "amd64", Capabilities: []string{"CAP_KILL"}}, false},
		{`"includes":{"minKernel":"4.8"}`, Target{Arch: "amd64", Kernel: Kernel{4, 8}}, true},
		{`"includes":{"minKernel":"4.8"}`, Target{Arch: "amd64", Kernel: Kernel{4, 7}}, false},
		{`"includes":{"minKernel":"4.8"}`, Target{Arch: "amd64", Kernel: Kernel{10, 1}}, true},
		{`"excludes":{"minKernel":"4.8"}`, Target{Arch: "amd64", Kernel: Kernel{5, 0}}, false},
		{`"excludes":{"minKernel":"4.8"}`, Target{Arch: "amd64", Kernel: Kernel{3, 19}}, true},
		{`"includes":{"caps":["CAP_BPF"]},"excludes":{"arches":["arm64"]}`, Target{Arch: "arm64", Capabilities: []string{"CAP_BPF"}}, false},
	} {
		text := `{"names":["read"],"action":"SCMP_ACT_ALLOW"`
		if c.scopes != "" {
			text += "," + c.scopes
		}
		p, err := Parse([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + text + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Resolve(c.target)
		if err != nil || (len(s.Syscalls) == 1) != c.holds {
			t.Errorf("%s for %+v: %v, %v; want %v", c.scopes, c.target, s.Syscalls, err, c.holds)
		}
	}
}

// TestProfilesOfMoby resolves the fixtures of Docker's own package, among them
// one of the old form, and compares with what that makes of them.
func TestProfilesOfMoby(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/profiles/seccomp").Output()
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "fixtures", "*.json"))
	if err != nil || len(fixtures) < 3 {
		t.Fatalf("%d fixtures: %v", len(fixtures), err)
	}
	for _, path := range fixtures {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.ReplaceAll(data, []byte("12345"), []byte("4095")) // an errno that libseccomp would not take either
		for _, caps := range [][]string{nil, {"CAP_SYS_ADMIN"}, conditional} {
			want, err := moby.LoadProfile(string(data), &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}})
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(data)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			got, err := p.Resolve(Target{Arch: runtime.GOARCH, Capabilities: caps, Kernel: RunningKernel()})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(document(t, want), document(t, got)); diff != "" {
				t.Errorf("%s with %v (-moby +here):\n%s", filepath.Base(path), caps, diff)
			}
			if _, err := Compile(got, runtime.GOARCH); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

func document(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestKernelReleases(t *testing.T) {
	for release, want := range map[string]Kernel{
		"6.18.44-fc": {6, 18}, "3.12-1-amd64": {3, 12}, "3.12-rc5": {3, 12}, "5.4": {5, 4}, "6": {6, 0}, "": {}, "x.y": {}, "6.x": {6, 0},
	} {
		if got := parseRelease(release); got != want {
			t.Errorf("%q: %v, want %v", release, got, want)
		}
	}
	if k := RunningKernel(); k.before(Kernel{4, 8}) {
		t.Errorf("the running kernel is %v", k)
	}
}

// TestFiles damages a filter's file at every byte and cuts it at every length.
func TestFiles(t *testing.T) {
	f := Filter{Flags: 6, Program: []byte("sixteen bytes it")}
	data := f.Marshal()
	if got, ok := Unmarshal(data); !ok || !cmp.Equal(got, f) {
		t.Errorf("got %+v, %v", got, ok)
	}
	for i := range data {
		damaged := slices.Clone(data)
		damaged[i] ^= 0x10
		if _, ok := Unmarshal(damaged); ok {
			t.Errorf("taken with byte %d changed", i)
		}
		if _, ok := Unmarshal(data[:i]); ok {
			t.Errorf("taken with %d bytes", i)
		}
	}
	for _, program := range []string{"", "seven b"} {
		if _, ok := Unmarshal(Filter{Program: []byte(program)}.Marshal()); ok {
			t.Errorf("a program of %d bytes is taken", len(program))
		}
	}
}
