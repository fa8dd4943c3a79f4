// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/layer"
	"strata/internal/tree"
)

// list gives the names of an archive's entries, in its order, with what says
// more than a name.
func list(t *testing.T, data []byte) (lines []string) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(data))
	for {
		hdr, err := r.Next()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%c %s", hdr.Typeflag, hdr.Name)
		if hdr.Linkname != "" {
			line += " -> " + hdr.Linkname
		}
		if hdr.Format != tar.FormatUSTAR {
			line += " " + hdr.Format.String()
		}
		if hdr.Uname != "" || hdr.Gname != "" || !hdr.AccessTime.IsZero() || !hdr.ChangeTime.IsZero() {
			t.Errorf("%s: names %q:%q, times %v %v", hdr.Name, hdr.Uname, hdr.Gname, hdr.AccessTime, hdr.ChangeTime)
		}
		lines = append(lines, line)
	}
}

func TestArchiveOrder(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(
		tree.Dir("d", tree.Opaque), tree.Whiteout("d/z"), tree.Whiteout("d/b"), tree.File("d/a", "x"), tree.HardLink("d/c", "d/a"),
		tree.File("d.e", ""), tree.Socket("socket"), tree.Whiteout("gone"), tree.Symlink("l", "d"), tree.Char("null", 1, 3),
		tree.File("x", "", tree.Xattr("user.x", "y")), tree.File(strings.Repeat("n", 101), ""), tree.File("old", "", tree.Time(-1)),
		tree.File("owned", "", tree.Owner(1<<21, 0)), tree.File("\xff", ""),
	))
	want := []string{
		"5 ./", "0 .wh.gone", "5 d/", "0 d/.wh..wh..opq", "0 d/.wh.b", "0 d/.wh.z", "0 d/a", "1 d/c -> d/a", "0 d.e",
		"2 l -> d", "0 " + strings.Repeat("n", 101) + " PAX", "3 null", "0 old PAX", "0 owned PAX", "0 x PAX", "0 \xff PAX",
	}
	data, info := write(t, dir, layer.WriteOptions{Root: true})
	if diff := cmp.Diff(want, list(t, data)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if info.Entries != len(want) || info.ContentSize != 1 {
		t.Errorf("info %+v, want %d entries with 1 byte", info, len(want))
	}
	data, _ = write(t, dir, layer.WriteOptions{})
	if diff := cmp.Diff(want[1:], list(t, data)); diff != "" {
		t.Errorf("entries without root (-want +got):\n%s", diff)
	}
}

// Neither the order in which a directory was filled nor access times count.
func TestEqualTreesGiveEqualBytes(t *testing.T) {
	needRoot(t)
	a, b := t.TempDir(), t.TempDir()
	var entries tree.Tree
	for i := range 200 {
		entries = append(entries, tree.File(fmt.Sprintf("file-%d", i), fmt.Sprint(i)))
	}
	tree.Create(t, a, entries)
	for i := range entries {
		tree.Create(t, b, entries[len(entries)-1-i:][:1])
	}
	first, _ := write(t, a, layer.WriteOptions{})
	if _, err := os.ReadFile(filepath.Join(b, "file-7")); err != nil {
		t.Fatal(err)
	}
	if second, _ := write(t, b, layer.WriteOptions{}); !bytes.Equal(first, second) {
		t.Error("two equal trees give different archives")
	}
}

func TestTimes(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(tree.File("early", "", tree.TimeNano(1_999_999_999)), tree.File("late", "", tree.Time(5000))))
	epoch := time.Unix(1000, 500)
	for name, want := range map[string]struct {
		epoch *time.Time
		times []int64
	}{"as they are": {nil, []int64{1, 5000}}, "clamped": {&epoch, []int64{1, 1000}}} {
		data, _ := write(t, dir, layer.WriteOptions{Epoch: want.epoch})
		r := tar.NewReader(bytes.NewReader(data))
		for _, seconds := range want.times {
			hdr, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !hdr.ModTime.Equal(time.Unix(seconds, 0)) {
				t.Errorf("%s: %s has %v, want %d s: cut off, not rounded", name, hdr.Name, hdr.ModTime, seconds)
			}
		}
	}
}

func TestApplySetsTimesOfDirectoriesLast(t *testing.T) {
	needRoot(t)
	to := t.TempDir()
	var implied []string
	opts := layer.ApplyOptions{Implied: func(path string) { implied = append(implied, path) }}
	nano := dir("d").with(func(h *tar.Header) { h.ModTime = time.Unix(5, 123456789); h.Format = tar.FormatPAX })
	if _, err := apply(t, to, archive(t, nano, file("d/a", "x"), file("d/.wh.b", ""), file("i/j/a", "x")), opts); err != nil {
		t.Fatal(err)
	}
	want := tree.New(tree.Dir("d", tree.TimeNano(5_123456789)), tree.File("d/a", "x"), tree.Whiteout("d/b"),
		tree.Dir("i", tree.Time(0)), tree.Dir("i/j", tree.Time(0)), tree.File("i/j/a", "x"))
	if diff := cmp.Diff(want, tree.Read(t, to)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"i/j", "i", "."}, implied); diff != "" {
		t.Errorf("implied directories (-want +got):\n%s", diff)
	}
}

func TestWriteRefuses(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		tree tree.Tree
		err  string
	}{
		{tree.New(tree.File("d/.wh.a", "")), "entry d/.wh.a: names that begin with .wh. stand for whiteouts in a layer; rename or remove it"},
		{tree.New(tree.Dir(".wh..wh..opq")), "entry .wh..wh..opq: names that begin with .wh. stand for whiteouts in a layer; rename or remove it"},
		{tree.New(tree.File("a", "", tree.Xattr("trusted.overlay.metacopy", ""))), "entry a: overlay mark trusted.overlay.metacopy: the entry is not whole, and cannot be written as a layer"},
		{tree.New(tree.Dir("a", tree.Xattr("trusted.overlay.redirect", "b"))), "entry a: overlay mark trusted.overlay.redirect: the entry is not whole, and cannot be written as a layer"},
		{tree.New(tree.Char(".wh.null", 1, 3)), "entry .wh.null: names that begin with .wh. stand for whiteouts in a layer; rename or remove it"},
	} {
		dir := t.TempDir()
		tree.Create(t, dir, c.tree)
		f := open(t, dir)
		_, err := layer.Write(ctx, f, io.Discard, nil, layer.WriteOptions{})
		f.Close()
		if got := message(err); got != c.err {
			t.Errorf("%q: error %q\nwant %q", c.tree.Paths(), got, c.err)
		}
	}
}

// What overlay keeps for itself on everything it copies up is no content.
func TestOverlaysAttributesAreLeftOut(t *testing.T) {
	needRoot(t)
	from, to := t.TempDir(), t.TempDir()
	kept := tree.Xattr("trusted.overlay.overlay.whiteout", "y")
	tree.Create(t, from, tree.New(
		tree.Dir("d", tree.Xattr("trusted.overlay.origin", "x"), tree.Xattr("trusted.overlay.impure", "y"), kept),
		tree.File("f", "", tree.Xattr("user.overlay.origin", "x"), tree.Xattr("trusted.overlay.nlink", "U+1")),
	))
	data, _ := write(t, from, layer.WriteOptions{})
	if _, err := apply(t, to, data, layer.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	want := tree.New(tree.Dir("d", kept), tree.File("f", ""))
	if diff := cmp.Diff(want, tree.Read(t, to, tree.AllXattrs)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

// broken fails after a number of bytes.
type broken struct{ left int }

var errBroken = errors.New("no space left")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func (b *broken) Read(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if n == 0 {
		return 0, errBroken
	}
	return n, nil
}

func TestFailingWriters(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(tree.File("a", strings.Repeat("x", 3<<20)), tree.File("b", strings.Repeat("y", 3<<20))))
	f := open(t, dir)
	defer f.Close()
	var record bytes.Buffer
	if _, err := layer.Write(ctx, f, &broken{1 << 20}, &record, layer.WriteOptions{}); message(err) != "write archive: no space left" || !errors.Is(err, errBroken) {
		t.Errorf("Write to a full archive: %v", err)
	}
	if _, err := layer.Write(ctx, f, io.Discard, &broken{}, layer.WriteOptions{}); message(err) != "write record: no space left" {
		t.Errorf("Write to a full record: %v", err)
	}
	data, _ := write(t, dir, layer.WriteOptions{})
	if err := applyOnce(ctx, t.TempDir(), bytes.NewReader(data), &broken{}, layer.ApplyOptions{}); message(err) != "write record: no space left" {
		t.Errorf("Apply to a full record: %v", err)
	}
	if err := applyOnce(ctx, t.TempDir(), &broken{600}, nil, layer.ApplyOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("Apply of a broken stream: %v", err)
	}
	record.Reset()
	if _, err := layer.Write(ctx, f, io.Discard, &record, layer.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := layer.Rebuild(ctx, f, bytes.NewReader(record.Bytes()), &broken{1 << 20}); message(err) != "write archive: no space left" {
		t.Errorf("Rebuild to a full archive: %v", err)
	}
}

func TestCancel(t *testing.T) {
	needRoot(t)
	from := t.TempDir()
	tree.Create(t, from, tree.New(tree.File("a", "x"), tree.File("b", strings.Repeat("y", 1<<20))))
	f := open(t, from)
	defer f.Close()
	var out, record bytes.Buffer
	if _, err := layer.Write(ctx, f, &out, &record, layer.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := layer.Write(canceled, f, io.Discard, nil, layer.WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
	if err := applyOnce(canceled, t.TempDir(), bytes.NewReader(out.Bytes()), nil, layer.ApplyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	if err := layer.Rebuild(canceled, f, bytes.NewReader(record.Bytes()), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild: %v", err)
	}
}

// Nothing of a commit shows on the tree: reading it leaves no access times.
func TestWriteLeavesAccessTimes(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(tree.File("a", "x")))
	old := []unix.Timespec{{Sec: 1}, {Sec: 2}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, "a"), old, 0); err != nil {
		t.Fatal(err)
	}
	write(t, dir, layer.WriteOptions{})
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "a"), &st); err != nil || st.Atim.Sec != 1 {
		t.Errorf("access time %d, want 1 (%v)", st.Atim.Sec, err)
	}
}
