// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"strata/internal/tree"
)

var bombs = []Layer{
	{Name: "depth", Entries: []Entry{Dir(strings.Repeat("d/", 300))}, Want: tree.New(tree.Dir(strings.Repeat("d/", 300)))},
	{Name: "names of directories", Bytes: func() io.Reader { return directories(20_000) }, Unread: true, Err: "more than the limit of 33554432 bytes of paths of directories and whiteouts"},
	{Name: "names of whiteouts", Bytes: func() io.Reader { return manyWhiteouts(20_000) }, Unread: true, Err: "more than the limit of 33554432 bytes of paths of directories and whiteouts"},
	{Name: "names cut from long headers", Bytes: func() io.Reader { return longHeaders(300) }, Unread: true},
	{Name: "a file of zeros", Bytes: func() io.Reader { return zeros(1 << 30) }, Unread: true},
	{Name: "a terabyte in a header", Entries: []Entry{File("a", "x").Patched(binarySize(1 << 40))}, Err: "more than the limit of 274877906944 bytes in files"},
	{Name: "eight gibibytes of hole", Entries: []Entry{File("a", "x").Sparse(1<<33-1024, 1<<33-1)}, Unread: true},
	{Name: "a long PAX header", Entries: []Entry{Pax("comment=" + strings.Repeat("x", 2<<20)), File("a", "")}, Err: "archive/tar: header field too long"},
}

var sparseFiles = []Layer{
	{Name: "hole before", Entries: []Entry{File("a", "x").Sparse(700_000, 700_001)}, Want: tree.New(tree.File("a", strings.Repeat("\x00", 700_000)+"x"))},
	{Name: "hole after", Entries: []Entry{File("a", "x").Sparse(0, 300_000)}, Want: tree.New(tree.File("a", "x"+strings.Repeat("\x00", 299_999)))},
	{Name: "between others", Entries: []Entry{File("a", "1"), File("b", "22").Sparse(1000, 2000), File("c", "333")},
		Want: tree.New(tree.File("a", "1"), tree.File("b", strings.Repeat("\x00", 1000)+"22"+strings.Repeat("\x00", 998)), tree.File("c", "333"))},
	{Name: "replaced", Entries: []Entry{File("b", "22").Sparse(1000, 2000), File("b", "333"), File("b", "4").Sparse(1, 2)}, Want: tree.New(tree.File("b", "\x004"))},
	{Name: "PAX 0.0", Bytes: func() io.Reader { return paxSparse("0.0") }, Want: tree.New(tree.File("a", "\x00\x00\x00x\x00\x00"))},
	{Name: "PAX 0.1", Bytes: func() io.Reader { return paxSparse("0.1") }, Want: tree.New(tree.File("a", "\x00\x00\x00x\x00\x00"))},
	{Name: "PAX 1.0", Bytes: func() io.Reader { return paxSparse("1.0") }, Want: tree.New(tree.File("a", "\x00\x00\x00x\x00\x00"))},
	{Name: "overlapping", Entries: []Entry{File("a", "xy").Sparse(0, 10).Patched(overlapping)}, Err: "archive/tar: invalid tar header"},
	{Name: "beyond its end", Entries: []Entry{File("a", "x").Sparse(100, 50)}, Err: "archive/tar: invalid tar header"},
}

// Archives whose bytes are wrong.
var damaged = []Layer{
	{Name: "empty", Bytes: func() io.Reader { return strings.NewReader("") }, Want: nil},
	{Name: "only the end", Bytes: func() io.Reader { return bytes.NewReader(make([]byte, 1024)) }, Want: nil},
	{Name: "without the end", Entries: []Entry{File("a", "x")}, Damage: cut(-1024), Want: tree.New(tree.File("a", "x"))},
	{Name: "cut in the content", Entries: []Entry{File("a", strings.Repeat("x", 1000))}, Damage: cut(1000), Err: "entry a: read archive at byte 488 of 1000 of its content: unexpected EOF"},
	{Name: "cut in a header", Entries: []Entry{File("a", "x"), File("b", "y")}, Damage: cut(1100), Err: "read archive after entry a, byte 1100: unexpected EOF"},
	{Name: "cut in the first header", Entries: []Entry{File("a", "x")}, Damage: cut(100), Err: "read archive at its first entry: unexpected EOF"},
	{Name: "cut after the header", Entries: []Entry{File("a", "x")}, Damage: cut(512), Err: "entry a: read archive at byte 0 of 1 of its content: unexpected EOF"},
	{Name: "cut in a PAX header", Entries: []Entry{File("a", "").With(Xattr("user.x", "y"))}, Damage: cut(700), Err: "read archive at its first entry: unexpected EOF"},
	{Name: "cut after a PAX header", Entries: []Entry{File("a", "x"), File("b", "").With(Xattr("user.x", "y"))}, Damage: cut(2048), Err: "read archive after entry a, byte 2048: unexpected EOF"},
	{Name: "cut in a long name", Entries: []Entry{File("a", "x"), File(strings.Repeat("long/", 40)+"f", "").With(Format(tar.FormatGNU))}, Damage: cut(1600), Err: "read archive after entry a, byte 1600: unexpected EOF"},
	{Name: "cut in the padding", Entries: []Entry{File("a", "x")}, Damage: cut(600), Want: tree.New(tree.File("a", "x"))},
	{Name: "whiteout's content last of all", Entries: []Entry{File("d/.wh.a", strings.Repeat("content", 200))}, Damage: cut(-1024), Want: tree.New(tree.Whiteout("d/a"))},
	{Name: "no archive", Bytes: func() io.Reader { return strings.NewReader(strings.Repeat("no archive ", 100)) }, Err: "read archive at its first entry: archive/tar: invalid tar header"},
	{Name: "wrong sum", Entries: []Entry{File("a", "x")}, Damage: replace("0000644", "0000777"), Err: "read archive at its first entry: archive/tar: invalid tar header"},
	{Name: "more zeros after the end", Entries: []Entry{File("a", "x")}, Damage: followed(strings.Repeat("\x00", 9000)), Want: tree.New(tree.File("a", "x"))},
	{Name: "another archive after the end", Entries: []Entry{File("a", "x")}, Damage: followed(string(packed(File("b", "y")))), Want: tree.New(tree.File("a", "x"))},
	{Name: "too much after the end", Entries: []Entry{File("a", "x")}, Damage: followed(strings.Repeat("\x00", 17<<20)), Err: "more than the limit of 16777216 bytes after the end of the archive"},
	{Name: "negative size", Entries: []Entry{File("a", "x").Sized("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}, Err: "archive/tar: invalid tar header"},
	{Name: "negative size in PAX", Entries: []Entry{Pax("size=-1"), File("a", "x")}, Err: "archive/tar: invalid tar header"},
	{Name: "huge size", Entries: []Entry{File("a", "x").Sized("77777777777\x00")}, Err: "entry a: read archive at byte 1536 of 8589934591 of its content: unexpected EOF"},
	{Name: "size that is no number", Entries: []Entry{File("a", "x").Sized("many\x00")}, Err: "archive/tar: invalid tar header"},
	{Name: "size of a directory", Entries: []Entry{Dir("d").Sized("00000000005\x00"), File("d/a", "x")}, Want: tree.New(tree.Dir("d"), tree.File("d/a", "x"))},
	{Name: "a PAX record without an end", Entries: []Entry{Pax("comment=x"), File("a", "")}, Damage: replace("comment=x\n", "comment=xy"), Err: "archive/tar: invalid tar header"},
}

// cut ends the archive at a byte, counted from its end if negative.
func cut(at int) func(io.Reader) io.Reader {
	return changed(func(data []byte) []byte {
		if at < 0 {
			return data[:len(data)+at]
		}
		return data[:at]
	})
}

func replace(old, now string) func(io.Reader) io.Reader {
	return changed(func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(now), 1) })
}

func followed(by string) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return io.MultiReader(r, strings.NewReader(by)) }
}

func changed(f func([]byte) []byte) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader {
		data, err := io.ReadAll(r)
		if err != nil {
			panic(err)
		}
		return bytes.NewReader(f(data))
	}
}

func packed(entries ...Entry) []byte {
	data, err := io.ReadAll(Pack("", entries...))
	if err != nil {
		panic(err)
	}
	return data
}

// packEach makes an archive of n entries, one after the other.
func packEach(n int, entry func(i int) Entry) io.Reader {
	r, w := io.Pipe()
	go func() {
		out := &last{w: w}
		t := tar.NewWriter(out)
		for i := range n {
			if err := entry(i).write(t, out, ""); err != nil {
				w.CloseWithError(err)
				return
			}
		}
		w.CloseWithError(errors.Join(t.Close(), out.flush()))
	}()
	return r
}

// filler is most of a path of about 4,000 bytes.
var filler = strings.Repeat(strings.Repeat("f", 199)+"/", 19)

func directories(n int) io.Reader {
	return packEach(n, func(i int) Entry { return Dir(fmt.Sprint(filler, i)) })
}

// longHeaders has directories whose names stand in extended headers of almost a
// mebibyte each, which a reader may keep with the name.
func longHeaders(n int) io.Reader {
	comment := strings.Repeat("x", 1<<20-1000)
	return packEach(n, func(i int) Entry {
		e := Dir(fmt.Sprint(strings.Repeat("d", 150), i)).With(Format(tar.FormatPAX))
		e.PAXRecords = map[string]string{"STRATA.comment": comment}
		return e
	})
}

func manyWhiteouts(n int) io.Reader {
	return packEach(n, func(i int) Entry { return File(fmt.Sprint(filler, ".wh.", i), "") })
}

// zeros is an archive of one file of size zeros, a multiple of 512.
func zeros(size int64) io.Reader {
	head := packed(File("a", "").Patched(binarySize(size)))
	return io.MultiReader(bytes.NewReader(head[:512]), io.LimitReader(zeroReader{}, size+1024))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// binarySize writes a size as GNU tar does where octal digits do not suffice.
func binarySize(size int64) func([]byte) {
	return func(block []byte) {
		copy(block[124:136], "\x80\x00\x00\x00")
		binary.BigEndian.PutUint64(block[128:], uint64(size))
	}
}

// overlapping adds a second piece to an entry of GNU's old sparse format, in the
// place of the first.
func overlapping(block []byte) {
	block[156] = tar.TypeGNUSparse
	copy(block[386:], "00000000000\x0000000000001\x00"+"00000000000\x0000000000001\x00")
	copy(block[483:], "00000000012\x00")
}

// paxSparse is an archive of a file "a" of six bytes, of which only the fourth is
// not zero, in one of the three ways that GNU tar has put that into PAX records.
func paxSparse(version string) io.Reader {
	switch version {
	case "0.0":
		return Pack("", Pax("GNU.sparse.size=6", "GNU.sparse.numblocks=1", "GNU.sparse.offset=3", "GNU.sparse.numbytes=1"), File("a", "x"))
	case "0.1":
		return Pack("", Pax("GNU.sparse.size=6", "GNU.sparse.numblocks=1", "GNU.sparse.map=3,1", "GNU.sparse.name=a"), File("GNUSparseFile.0/a", "x"))
	}
	pieces := "1\n3\n1\n"
	return Pack("", Pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=a", "GNU.sparse.realsize=6"),
		File("GNUSparseFile.0/a", pieces+strings.Repeat("\x00", 512-len(pieces))+"x"))
}
