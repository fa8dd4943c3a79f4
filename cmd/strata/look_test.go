// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/oci"
)

func TestModeString(t *testing.T) {
	for mode, want := range map[uint32]string{
		unix.S_IFREG | 0o644: "-rw-r--r--", unix.S_IFDIR | 0o1777: "drwxrwxrwt", unix.S_IFLNK | 0o777: "lrwxrwxrwx",
		unix.S_IFREG | 0o4755: "-rwsr-xr-x", unix.S_IFREG | 0o6644: "-rwSr-Sr--", unix.S_IFDIR | 0o1770: "drwxrwx--T",
		unix.S_IFCHR | 0o600: "crw-------", unix.S_IFBLK: "b---------", unix.S_IFIFO | 0o111: "p--x--x--x", unix.S_IFSOCK | 0o2750: "srwxr-s---",
	} {
		if got := modeString(mode); got != want {
			t.Errorf("modeString(%o) = %q, want %q", mode, got, want)
		}
	}
}

func TestCopySource(t *testing.T) {
	for from, want := range map[string][2]string{
		"img:/etc": {"img", "/etc"}, "img:etc/passwd": {"img", "etc/passwd"}, "debian:12:/a:/b": {"debian:12", "/a:/b"}, "debian:12:etc": {"debian:12", "etc"},
		"localhost:5000/x:1:/": {"localhost:5000/x:1", "/"}, "img:": {"img", ""},
	} {
		name, path, err := copySource([]string{from, "-"})
		if err != nil || name != want[0] || path != want[1] {
			t.Errorf("copySource(%q) = %q, %q, %v; want %q", from, name, path, err, want)
		}
	}
	for _, args := range [][]string{{"img", "-"}, {":/etc", "-"}, {"./a:b", "-"}, {"/a:b", "-"}, {"img:/etc", "dir"}} {
		if _, _, err := copySource(args); err == nil {
			t.Errorf("copySource(%q) is taken", args)
		}
	}
}

func TestImageFilters(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	made := now.Add(-2 * time.Hour)
	config := oci.ImageConfig{Created: &made, Config: oci.Config{Labels: map[string]string{"a": "1", "b": ""}}}
	for filters, want := range map[string]bool{
		"": true, "until=1h": true, "until=3h": false, "until=2026-11-23T10:30:00Z": true, "until=2026-11-23T09:30:00Z": false,
		"until=1795000000": false, "until=1795429800": true, "label=a": true, "label=a=1": true, "label=a=2": false, "label=c": false, "label=b=": true,
		"label!=a": false, "label!=a=2": true, "label=a,label=c": false, "label=a,until=3h": false, "label=a,until=1h": true,
	} {
		f, err := parseImageFilters(strings.FieldsFunc(filters, func(r rune) bool { return r == ',' }), now)
		if err != nil || f.match(config) != want {
			t.Errorf("%q: %v, want %v (%v)", filters, !want, want, err)
		}
	}
	for _, filter := range []string{"until", "until=", "until=x", "label", "label=", "size=3", "dangling=perhaps", ""} {
		if _, err := parseImageFilters([]string{filter}, now); err == nil {
			t.Errorf("--filter %q is taken", filter)
		}
	}
	if f, err := parseImageFilters([]string{"dangling=false"}, now); err != nil || !f.all {
		t.Errorf("dangling=false: %v", err)
	}
}

func TestConfirmPrune(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "y": true, "\n": false, "": false, "n\n": false, "yy\n": false} {
		var asked strings.Builder
		if got := confirmPrune(strings.NewReader(answer), io.Writer(&asked), false); got != want {
			t.Errorf("the answer %q is taken for %v", answer, got)
		}
		if !strings.HasSuffix(asked.String(), "Are you sure you want to continue? [y/N] ") {
			t.Errorf("asked %q", asked.String())
		}
	}
}
