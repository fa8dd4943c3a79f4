// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strata/internal/layer"
	"strata/internal/tree"
)

// differences verifies the tree f against its record.
func differences(t tree.T, f *os.File, record []byte, opts layer.VerifyOptions) (list []string, v layer.Verified) {
	t.Helper()
	opts.Report = func(d layer.Difference) { list = append(list, d.String()) }
	v, err := layer.Verify(ctx, f, bytes.NewReader(record), opts)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return list, v
}

// wantVerified is what holds for every tree that was just applied or written.
func wantVerified(t tree.T, f *os.File, record []byte, info layer.Info, opts layer.VerifyOptions) layer.Verified {
	t.Helper()
	list, v := differences(t, f, record, opts)
	if len(list) > 0 {
		t.Fatalf("a tree that nobody has touched differs: %q", list)
	}
	if v.Info != info {
		t.Fatalf("verify finds %+v, want %+v", v.Info, info)
	}
	return v
}

func wantApplied(t tree.T, f *os.File, record []byte, info layer.Info, opts layer.ApplyOptions, implied []string) {
	t.Helper()
	scratch, err := os.Open(os.TempDir())
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer scratch.Close()
	v := wantVerified(t, f, record, info, layer.VerifyOptions{
		Marks: opts.Marks, Unprivileged: opts.Unprivileged, UserNamespace: opts.UserNamespace, Scratch: scratch,
	})
	slices.Sort(implied)
	if !slices.Equal(v.Implied, implied) {
		t.Fatalf("verify finds the implied directories %q, apply made %q", v.Implied, implied)
	}
}

// TestVerifyFollowsApply draws archives that name paths again and again, devices
// and links to lower layers among them, as root of a user namespace applies them
// too: what Apply makes is what Verify expects.
func TestVerifyFollowsApply(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		data := archive(rt, rapid.SliceOfN(anyEntry(), 1, 15).Draw(rt, "entries")...)
		to := tempDir(rt, base)
		defer os.RemoveAll(to)
		links := map[string]string{}
		opts := layer.ApplyOptions{
			Linked:        func(path, target string) { links[path] = target },
			UserNamespace: rapid.Bool().Draw(rt, "user namespace"),
		}
		f := open(rt, to)
		defer f.Close()
		var record bytes.Buffer
		info, err := layer.Apply(ctx, bytes.NewReader(data), f, &record, opts)
		if err != nil {
			return
		}
		v := wantVerified(rt, f, record.Bytes(), info, layer.VerifyOptions{UserNamespace: opts.UserNamespace})
		if len(links) > 0 && !maps.Equal(links, v.Linked) {
			rt.Fatalf("verify finds the links %q, apply %q", v.Linked, links)
		}
	})
}

// damage is something that happens to an applied tree, and what Verify says of it.
type damage struct {
	do   func(dir string) error
	want []string
}

func shell(script string) func(string) error {
	return func(dir string) error {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

var damages = map[string]damage{
	"nothing":             {func(string) error { return nil }, nil},
	"mode":                {shell("chmod 755 f"), []string{"f: its mode is 0755, the archive has 0644"}},
	"set-id lost":         {shell("chmod 755 su"), []string{"su: its mode is 0755, the archive has 4755"}},
	"owner":               {shell("chown 3:4 f"), []string{"f: its owner is 3:4, the archive has 0:0"}},
	"owner of a link":     {shell("chown -h 3 l"), []string{"l: its owner is 3:0, the archive has 0:0"}},
	"time":                {shell("touch -d @5 f"), []string{"f: its time is 1970-01-01T00:00:05Z, the archive has 2020-09-13T12:26:40Z"}},
	"time of a directory": {shell("touch -d @5.25 d"), []string{"d: its time is 1970-01-01T00:00:05.25Z, the archive has 2020-09-13T12:26:40Z"}},
	"attribute gone":      {shell("setfattr -x user.a f"), []string{"f: its attribute user.a is missing"}},
	"attribute changed":   {shell("setfattr -n user.a -v 2 f"), []string{"f: its attribute user.a differs from the archive's"}},
	"attribute more":      {shell("setfattr -n user.b -v 2 d"), []string{"d: it has the attribute user.b, the archive does not"}},
	"capability lost":     {shell("setfattr -x security.capability cap"), []string{"cap: its attribute security.capability is missing"}},
	"target":              {shell("ln -sfn other l; touch -hd @1600000000 l; touch -d @0 ."), []string{"l: it links to other, the archive has target"}},
	"cut":                 {shell("truncate -s 1 f; touch -d @1600000000 f"), []string{"f: it has 1 bytes, the archive has 7"}},
	"empty no more":       {shell("echo >empty; touch -d @1600000000 empty"), []string{"empty: it has 1 bytes, the archive has 0"}},
	"gone":                {shell("rm d/x; touch -d @1600000000 d"), []string{"d/x: it is missing"}},
	"directory gone":      {shell("rm -r d; touch -d @0 ."), []string{"d: it is missing"}},
	"more":                {shell("mkdir -p d/n/m; touch -d @1600000000 d"), []string{"d/n: the archive does not have it"}},
	"socket":              {shell("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d/s\")'; touch -d @1600000000 d"), []string{"d/s: the archive does not have it"}},
	"kind":                {shell("rm i j; mkdir i; ln empty j; touch -d @0 ."), []string{"empty: it has 2 names, the archive has 1", "i: it is a directory, the archive has a file", "j: it has 0 bytes, the archive has 5"}},
	"device":              {shell("rm c; mknod -m 600 c c 1 5; touch -d @1600000000 c; touch -d @0 ."), []string{"c: it is the character device 1:5, the archive has the character device 1:3"}},
	"hard link apart":     {shell("cp -a h h2; mv h2 h; touch -d @0 ."), []string{"f: it has 1 names, the archive has 2", "h: it has 1 names, the archive has 2"}},
	"hard link outside":   {shell("ln su ../../su; "), []string{"su: it has 2 names, the archive has 1"}},
	"hard links crossed":  {shell("mv k1 k; mv l1 k1; mv k l1; touch -d @0 ."), []string{"k2: it is a file of its own, the archive has a hard link", "l2: it is a file of its own, the archive has a hard link"}},
	"whiteout gone":       {shell("rm d/w; touch -d @1600000000 d"), []string{"d/w: its whiteout is missing"}},
	"whiteout more":       {shell("mknod d/v c 0 0; touch -d @1600000000 d"), []string{"d/v: the archive does not have it"}},
	"opaque lost":         {shell("setfattr -x trusted.overlay.opaque o"), []string{"o: it is not opaque, and the archive says so"}},
	"opaque more":         {shell("setfattr -n trusted.overlay.opaque -v y d"), []string{"d: it has the mark trusted.overlay.opaque, the archive does not"}},
	"redirect":            {shell("setfattr -n trusted.overlay.redirect -v /etc d"), []string{"d: it has the mark trusted.overlay.redirect, the archive does not"}},
	"origin lost":         {shell("setfattr -x trusted.overlay.origin d"), []string{"d: the mark is missing that lets it hold whiteouts"}},
	"sparse content":      {shell("printf X | dd of=sparse conv=notrunc 2>/dev/null; touch -d @1600000000 sparse"), []string{"sparse: its content has the digest sha256:"}},
	"root":                {shell("chmod 700 ."), []string{".: its mode is 0700, the archive has 0755"}},
}

func damagedArchive(t tree.T) []byte {
	return archive(t,
		file("f", "content").with(xattr("user.a", "1")), file("empty", ""), file("su", "s").with(mode(0o4755)),
		file("cap", "c").with(xattr("security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
		hardLink("h", "f"), file("i", "other"), hardLink("j", "i"), file("k1", "k"), hardLink("k2", "k1"), file("l1", "k"), hardLink("l2", "l1"), symlink("l", "target"), dir("d"), file("d/x", "x"), file("d/.wh.w", ""),
		dir("o"), file("o/.wh..wh..opq", ""), device("c", tar.TypeChar, 1, 3),
		file("sparse", "").sparse(0, 4096),
	)
}

func TestVerify(t *testing.T) {
	needRoot(t)
	data := damagedArchive(t)
	for name, d := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/a/tree"
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			f := open(t, dir)
			defer f.Close()
			var record bytes.Buffer
			info, err := layer.Apply(ctx, bytes.NewReader(data), f, &record, layer.ApplyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.do(dir); err != nil {
				t.Fatal(err)
			}
			got, v := differences(t, f, record.Bytes(), layer.VerifyOptions{})
			slices.Sort(got)
			if !slices.EqualFunc(got, d.want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", got, d.want)
			}
			if v.DiffID != "" && v.DiffID != info.DiffID {
				t.Errorf("digest %s, want %s or none", v.DiffID, info.DiffID)
			}
		})
	}
}

// What changes content and nothing else only the digest tells; which file it was,
// its time of change.
func TestVerifyContent(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	f := open(t, dir)
	defer f.Close()
	var record bytes.Buffer
	info, err := layer.Apply(ctx, bytes.NewReader(damagedArchive(t)), f, &record, layer.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	for later := since; !later.After(since.Add(20 * time.Millisecond)); later = time.Now() { // the clock of inodes is coarse
	}
	if err := shell("printf C | dd of=f conv=notrunc 2>/dev/null; touch -d @1600000000 f")(dir); err != nil {
		t.Fatal(err)
	}
	got, v := differences(t, f, record.Bytes(), layer.VerifyOptions{Since: since.Add(10 * time.Millisecond)})
	if len(got) > 0 || v.DiffID == info.DiffID || v.DiffID == "" || !slices.Equal(v.Later, []string{"f"}) {
		t.Errorf("differences %q, digest %s, changed later %q", got, v.DiffID, v.Later)
	}
}

// Times that a filesystem cannot hold are what it makes of them.
func TestVerifyTimesOutOfRange(t *testing.T) {
	needRoot(t)
	for _, sec := range []int64{-1 << 40, -3, 1 << 33, 1 << 40} {
		when := func(h *tar.Header) { h.ModTime = time.Unix(sec, 0); h.Format = tar.FormatPAX }
		dir := t.TempDir()
		if _, err := apply(t, dir, archive(t, file("a", "x").with(when)), layer.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Files in a directory with a default list get what the archive says, and what the
// kernel makes of a list that is no more than the mode is no difference.
func TestVerifyAccessLists(t *testing.T) {
	needRoot(t)
	const (
		minimal  = "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x04\x00\x05\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
		extended = "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x05\x00\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
			"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	)
	acl := func(name, value string) func(*tar.Header) { return xattr("system.posix_acl_"+name, value) }
	_, err := apply(t, t.TempDir(), archive(t,
		file("a", "x").with(acl("access", minimal)), file("b", "x").with(acl("access", extended)), dir("e").with(acl("access", extended)),
		dir("d").with(acl("default", extended)), file("d/f", "x"), dir("d/e"), symlink("d/l", "f"),
	), layer.ApplyOptions{})
	if err != nil {
		t.Error(err)
	}
}

// What is skipped may go over many frames, and what is read may be of any size.
func TestVerifyAcrossFrames(t *testing.T) {
	needRoot(t)
	var entries []entry
	for i := range 40 {
		entries = append(entries, file(fmt.Sprintf("f%d", i), strings.Repeat("x", i*i*137)))
		entries = append(entries, file(fmt.Sprintf("d/.wh..wh.%d", i), strings.Repeat("raw", i*1000))) // ignored, and so raw
		entries = append(entries, file("again", strings.Repeat("y", i*100)))
	}
	if _, err := apply(t, t.TempDir(), archive(t, entries...), layer.ApplyOptions{}); err != nil {
		t.Error(err)
	}
}
