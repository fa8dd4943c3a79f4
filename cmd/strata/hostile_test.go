// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostileArchives imports archives that name what is outside. Each is
// refused by the name of its entry, in one line, and what is outside is as it
// was.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	sentinel := filepath.Join(p.dir, "sentinel")
	if err := os.WriteFile(sentinel, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777}
	}
	hard := func(name, to string) tar.Header { return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink} }
	for _, c := range []struct {
		name    string
		headers []tar.Header
		names   string // what the message is to name
	}{
		{"dots", []tar.Header{file("a/../../../sentinel")}, "sentinel"},
		{"dots at the front", []tar.Header{file("../sentinel")}, "../sentinel"},
		{"dots inside", []tar.Header{file("a/../b")}, "a/../b"},
		{"through a link", []tar.Header{link("out", p.dir), file("out/sentinel")}, "out/sentinel"},
		{"through a link of dots", []tar.Header{link("out", "../../../../../.."+p.dir), file("out/sentinel")}, "out/sentinel"},
		{"hard link outside", []tar.Header{hard("inner", sentinel)}, "inner"},
		{"hard link by dots", []tar.Header{hard("inner", "../../../../sentinel")}, "inner"},
		{"hard link through a link", []tar.Header{link("out", p.dir), hard("inner", "out/sentinel")}, "inner"},
		{"hard link to nothing", []tar.Header{hard("inner", "nothing")}, "inner"},
		{"root that is a file", []tar.Header{file(".")}, ""},
		{"root that is a link", []tar.Header{link(".", p.dir), file("sentinel")}, ""},
		{"whiteout device", []tar.Header{{Name: "gone", Typeflag: tar.TypeChar, Mode: 0o600}}, "gone"},
		{"user beyond 32 bits", []tar.Header{{Name: "suid", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 1 << 32}}, "suid"},
		{"user that is -1", []tar.Header{{Name: "suid", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 1<<32 - 1}}, "suid"},
		{"name too long", []tar.Header{file(strings.Repeat("x", 300))}, ""},
		{"path too long", []tar.Header{file(strings.Repeat("x/", 3000) + "x")}, ""},
		{"whiteout of nothing", []tar.Header{file(".wh.")}, ""},
		{"whiteout of the parent", []tar.Header{file("a/.wh...")}, ""},
	} {
		archive := filepath.Join(p.dir, "hostile.tar")
		writeArchive(t, archive, append([]tar.Header{file("before")}, c.headers...)...)
		message := p.fails(1, "import", archive, "hostile")
		if !strings.Contains(message, c.names) {
			t.Errorf("%s: %q does not name %q", c.name, message, c.names)
		}
		if content, err := os.ReadFile(sentinel); err != nil || string(content) != "untouched" {
			t.Fatalf("%s: the sentinel is %q, %v", c.name, content, err)
		}
	}
	if got := p.must("images", "-q"); got != "" {
		t.Errorf("images: %q", got)
	}
	p.works()
}

// TestOddArchives imports what is odd and allowed.
func TestOddArchives(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	archive := filepath.Join(p.dir, "odd.tar")
	writeArchive(t, archive,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o750},
		tar.Header{Name: "./a/b/c", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 1<<32 - 2},
		tar.Header{Name: "/etc/strata-test", Typeflag: tar.TypeReg, Mode: 0o604},
		tar.Header{Name: "out", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "up", Linkname: "../../../..", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "twice", Typeflag: tar.TypeReg, Mode: 0o600},
		tar.Header{Name: "twice", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "marked", Typeflag: tar.TypeReg, Mode: 0o644,
			PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.trusted.overlay.opaque": "y"}},
		tar.Header{Name: "a name with\nnewline and \xff", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
	)
	p.must("import", archive, "odd")
	at := p.must("mount", "odd")
	info, err := os.Stat(at)
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("the root: %v, %v", info.Mode(), err)
	}
	for name, mode := range map[string]os.FileMode{"twice": 0o644, "a/b/c": 0o640, "etc/strata-test": 0o604, "a name with\nnewline and \xff": 0o644} {
		if info, err := os.Lstat(filepath.Join(at, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := os.Stat("/etc/strata-test"); err == nil {
		t.Error("/etc/strata-test was made")
	}
	if to, err := os.Readlink(at + "/out"); to != "/etc/passwd" {
		t.Errorf("out: %q, %v", to, err)
	}
	p.must("umount", "odd")
	p.must("rmi", "odd")
	p.works()
}
