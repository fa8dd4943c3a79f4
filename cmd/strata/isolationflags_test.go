// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path"
	"strings"
	"testing"

	"strata/internal/container"
)

func TestParseUlimit(t *testing.T) {
	for value, want := range map[string]container.Ulimit{
		"nofile=1024": {Name: "nofile", Soft: 1024, Hard: 1024}, "nofile=1:2": {Name: "nofile", Soft: 1, Hard: 2},
		"core=0": {Name: "core"}, "memlock=-1:-1": {Name: "memlock", Soft: -1, Hard: -1}, "stack=5:-1": {Name: "stack", Soft: 5, Hard: -1},
	} {
		if got, err := parseUlimit(value); err != nil || got != want {
			t.Errorf("%s: %+v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "nofile", "nofile=", "=1", " =1", "nofile=1:2:3", "nofile=2:1", "nofile=-1:1", "nofile=-2", "NOFILE=1", "core cpu=1", "nofile=9223372036854775808"} {
		if got, err := parseUlimit(value); err == nil {
			t.Errorf("%q: %+v", value, got)
		}
	}
}

func TestParseDevice(t *testing.T) {
	for value, want := range map[string]container.Device{
		"/dev/fuse": {Source: "/dev/fuse", Target: "/dev/fuse"}, "/dev/fuse:rwm": {Source: "/dev/fuse", Target: "/dev/fuse"},
		"/dev/a:/dev/b": {Source: "/dev/a", Target: "/dev/b"}, "/dev/a:/dev/../b:rw": {Source: "/dev/a", Target: "/b"},
	} {
		if got, err := parseDevice(value); err != nil || got != want {
			t.Errorf("%s: %+v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "fuse", "/dev/fuse:", "/dev/fuse:fuse", "/dev/a:/dev/b:x", "/dev/a:/dev/b:r", "/dev/a:m", "/dev/a:/b:/c:rw", ":/dev/a", "rw"} {
		if got, err := parseDevice(value); err == nil {
			t.Errorf("%q: %+v", value, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for value, want := range map[string]int64{"0": 0, "1": 1, "1b": 1, "2k": 2048, "2KB": 2048, "64m": 64 << 20, "1G": 1 << 30, "1tb": 1 << 40} {
		if got, err := parseSize(value); err != nil || got != want {
			t.Errorf("%s: %d, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "k", "-1", "1.5g", "1 m", "1kk", "9999999999g", "0x10", "1e3"} {
		if got, err := parseSize(value); err == nil {
			t.Errorf("%q: %d", value, got)
		}
	}
}

func FuzzFlagValues(f *testing.F) {
	for _, seed := range []string{"nofile=1:2", "/dev/a:/b:rwm", "64m", "container:x", "net.x=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if u, err := parseUlimit(value); err == nil && (u.Hard < -1 || u.Soft < -1 || u.Hard >= 0 && uint64(u.Soft) > uint64(u.Hard)) {
			t.Errorf("--ulimit %q: %+v", value, u)
		}
		if d, err := parseDevice(value); err == nil && (!path.IsAbs(d.Source) || path.Clean(d.Target) != d.Target) {
			t.Errorf("--device %q: %+v", value, d)
		}
		if n, err := parseSize(value); err == nil && n < 0 {
			t.Errorf("a size of %q: %d", value, n)
		}
		if mode, err := parseMode(value, []string{"host", "container:NAME"}); err == nil && mode != "" && mode != "host" && strings.TrimPrefix(mode, "container:") == "" {
			t.Errorf("mode %q: %q", value, mode)
		}
		if parsed, err := parseSysctls([]string{value}, &container.Isolation{}, &container.Host{}); err == nil && len(parsed) != 1 {
			t.Errorf("--sysctl %q: %v", value, parsed)
		}
	})
}
