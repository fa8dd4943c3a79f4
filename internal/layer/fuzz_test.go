// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"strata/internal/hostile"
	"strata/internal/layer"
	"strata/internal/oci"
	"strata/internal/tree"
)

// small keeps a fuzzer from filling the disk by a header alone.
var small = layer.Limits{Entries: 200, Bytes: 1 << 20}

// seeds are all archives of the tables, and damaged ones.
func seeds(f *testing.F) {
	for _, group := range hostile.Layers() {
		for _, l := range group {
			if l.Bytes != nil || l.Unread {
				continue
			}
			if data, err := io.ReadAll(l.Archive("/outside")); err != nil {
				f.Fatal(err)
			} else if len(data) < 16<<10 {
				f.Add(data)
			}
		}
	}
	for _, h := range slices.Concat(devices, whiteouts) {
		f.Add(archive(f, h.entries...))
	}
	f.Add([]byte{})
	f.Add(archive(f, file("a", "x"))[:600])
}

// FuzzApply: whatever the bytes are, nothing beside the directory changes, and
// what can be applied can be made again and written.
func FuzzApply(f *testing.F) {
	if os.Geteuid() != 0 {
		f.Skip("needs root: owners, devices, trusted attributes")
	}
	seeds(f)
	sentinel := tree.New(tree.File("file", "sentinel"), tree.Dir("sub"))
	f.Fuzz(func(t *testing.T, data []byte) {
		base := tempDir(t, os.TempDir())
		defer os.RemoveAll(base)
		inside, outside := filepath.Join(base, "inside"), filepath.Join(base, "outside")
		tree.Create(t, inside, nil)
		tree.Create(t, outside, sentinel)
		_, err := apply(t, inside, data, layer.ApplyOptions{Limits: small})
		if diff := cmp.Diff(sentinel, tree.Read(t, outside)); diff != "" {
			t.Fatalf("the directory beside it changed (-want +got):\n%s", diff)
		}
		if got := dirNames(t, base); !cmp.Equal(got, []string{"inside", "outside"}) {
			t.Fatalf("beside it there are %q", got)
		}
		if err == nil {
			rewrite(t, inside, t.TempDir())
		}
	})
}

// FuzzRebuild: a record that is wrong reads nothing outside its tree, and ends.
func FuzzRebuild(f *testing.F) {
	base := f.TempDir()
	dir := filepath.Join(base, "tree")
	content := tree.New(tree.File("a", "content"), tree.File("d/b", "more"), tree.Symlink("l", "../secret"), tree.Symlink("up", ".."))
	if os.Geteuid() == 0 {
		content = content.With(tree.Fifo("p"), tree.Char("null", 1, 3))
	}
	tree.Create(f, dir, content)
	if err := os.WriteFile(filepath.Join(base, "secret"), []byte(secret), 0o644); err != nil {
		f.Fatal(err)
	}
	for _, frames := range records {
		f.Add([]byte(frames))
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		if bytes.Contains(frames, []byte(secret)) {
			return
		}
		root := open(t, dir)
		defer root.Close()
		var out bytes.Buffer
		err := layer.Rebuild(ctx, root, bytes.NewReader(compress(frames)), &out)
		if bytes.Contains(out.Bytes(), []byte(secret)) {
			t.Fatalf("it read outside the tree: %q (%v)", out.Bytes(), err)
		}
		again, verifyErr := layer.Verify(ctx, root, bytes.NewReader(compress(frames)), layer.VerifyOptions{Report: func(layer.Difference) {}})
		if err == nil && verifyErr == nil && again.DiffID != oci.FromBytes(out.Bytes()) {
			t.Fatalf("Verify makes %s, Rebuild %s", again.DiffID, oci.FromBytes(out.Bytes()))
		}
		if err == nil && out.Len() > len(frames)+1000*len("content") {
			t.Fatalf("%d bytes of record make %d", len(frames), out.Len())
		}
	})
}

const secret = "secret outside the tree"

// records are whole and broken ones, with the magic.
var records = []string{
	"strata-archive 1\n\x00\x00",
	"strata-archive 1\n\x01\x03raw\x02\x01a\x07\x00\x0a",
	"strata-archive 1\n\x02\x03d/b\x04\x00\x04",
	"strata-archive 1\n\x02\x01a\x03\x03\x01a\x03old\x02\x01a\x07\x00\x0a",
	"strata-archive 1\n\x02\x09../secret\x17\x00\x17",
	"strata-archive 1\n\x02\x01l\x17\x00\x17",
	"strata-archive 1\n\x02\x09up/secret\x17\x00\x17",
	"strata-archive 1\n\x02\x0a/proc/self\x17\x00\x17",
	"strata-archive 1\n\x02\x01p\x01\x00\x01",
	"strata-archive 1\n\x02\x04null\x01\x00\x01",
	"strata-archive 1\n\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	"strata-archive 1\n\x02\xff\xff\xff\xff\x0f",
	"strata-archive 1\n\x07",
	"strata-archive 2\n\x00\x00",
}

func compress(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestDamagedRecords(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(tree.File("a", "content"), tree.Symlink("l", "a"), tree.Symlink("up", ".."), tree.Fifo("p")))
	whole := compress([]byte("strata-archive 1\n\x01\x03raw\x02\x01a\x07\x00\x0a"))
	for _, c := range []struct {
		name   string
		record []byte
		want   string
		err    string
	}{
		{"whole", whole, "rawcontent", ""},
		{"kept", compress([]byte("strata-archive 1\n\x02\x01a\x03\x03\x01a\x03old\x02\x01a\x07\x00\x0a")), "oldcontent", ""},
		{"empty", nil, "", "read record: EOF"},
		{"cut", whole[:len(whole)-5], "", "read record: unexpected EOF"},
		{"damaged", flip(whole, len(whole)-6), "", "read record: gzip: invalid checksum"},
		{"another version", compress([]byte("strata-archive 2\n\x00\x00")), "", "read record: not a record of an archive"},
		{"no end", compress([]byte("strata-archive 1\n\x01\x03raw")), "", "read record: unexpected EOF"},
		{"unknown frame", compress([]byte("strata-archive 1\n\x09")), "", "read record: frame of unknown kind 9"},
		{"more after the end", compress([]byte("strata-archive 1\n\x00\x00x")), "", "read record: bytes after its end: not a record of an archive"},
		{"another size", compress([]byte("strata-archive 1\n\x01\x03raw\x00\x04")), "", "read record: it makes 3 bytes, the archive had 4"},
		{"upwards", compress([]byte("strata-archive 1\n\x02\x04../a\x01\x00\x01")), "", "read record: path ../a is not clean"},
		{"absolute", compress([]byte("strata-archive 1\n\x02\x02/a\x01\x00\x01")), "", "read record: path /a is not clean"},
		{"through a link", compress([]byte("strata-archive 1\n\x02\x04up/a\x01\x00\x01")), "", "file up/a: too many levels of symbolic links"},
		{"link", compress([]byte("strata-archive 1\n\x02\x01l\x01\x00\x01")), "", "file l: too many levels of symbolic links"},
		{"pipe", compress([]byte("strata-archive 1\n\x02\x01p\x01\x00\x01")), "", "file p: it is a device, pipe or socket of 0 bytes, the archive had a file of 1"},
		{"missing", compress([]byte("strata-archive 1\n\x02\x01x\x01\x00\x01")), "", "file x: no such file or directory"},
		{"another size of a file", compress([]byte("strata-archive 1\n\x02\x01a\x08\x00\x08")), "", "file a: it is a file of 7 bytes, the archive had a file of 8"},
		{"another size of a kept file", compress([]byte("strata-archive 1\n\x02\x01a\x08\x03\x01a\x03old\x00\x08")), "", "file a: 3 bytes of it are in the record, the archive had 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := open(t, dir)
			defer root.Close()
			var out bytes.Buffer
			err := layer.Rebuild(ctx, root, bytes.NewReader(c.record), &out)
			if got := message(err); got != c.err || err == nil && out.String() != c.want {
				t.Errorf("error %q, %q\nwant  %q, %q", got, out.String(), c.err, c.want)
			}
		})
	}
}

func flip(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0xff
	return data
}

// A record starts where its reader stands.
func TestRebuildFromTheMiddle(t *testing.T) {
	dir := t.TempDir()
	r := bytes.NewReader(append([]byte("before"), compress([]byte("strata-archive 1\n\x01\x03raw\x00\x03"))...))
	if _, err := r.Seek(6, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	root := open(t, dir)
	defer root.Close()
	var out bytes.Buffer
	if err := layer.Rebuild(ctx, root, r, &out); err != nil || out.String() != "raw" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

// FuzzWhiteouts: whiteouts and opaque marks mean the same wherever they stand
// among the entries of their layer (image-spec, layer.md#whiteouts).
func FuzzWhiteouts(f *testing.F) {
	if os.Geteuid() != 0 {
		f.Skip("needs root: trusted attributes")
	}
	all := []entry{
		dir("d"), dir("d/e"), file("a", "1"), file("d/a", "2"), file("d/e/a", "3"), file(".wh.a", ""), file(".wh.b", ""), file(".wh.d", ""), file("d/.wh.a", ""),
		file("d/.wh.e", ""), file("d/e/.wh.x", ""), file(".wh..wh..opq", ""), file("d/.wh..wh..opq", ""), file("d/e/.wh..wh..opq", ""), symlink("l", "d"), file(".wh.l", ""),
	}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte{9, 1, 4, 13, 0})
	f.Fuzz(func(t *testing.T, order []byte) {
		var some []entry
		chosen := make([]bool, len(all))
		for _, b := range order {
			if i := int(b) % len(all); !chosen[i] {
				chosen[i] = true
				some = append(some, all[i])
			}
		}
		var sorted []entry
		for i, e := range all {
			if chosen[i] {
				sorted = append(sorted, e)
			}
		}
		as := func(entries []entry) tree.Tree {
			to := t.TempDir()
			if _, err := apply(t, to, archive(t, entries...), layer.ApplyOptions{}); err != nil {
				t.Fatal(err)
			}
			return tree.Read(t, to, tree.NoDirTimes)
		}
		if diff := cmp.Diff(as(sorted), as(some)); diff != "" {
			t.Errorf("in another order (-sorted +%v):\n%s", order, diff)
		}
	})
}
