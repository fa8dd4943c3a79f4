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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/layer"
	"strata/internal/oci"
	"strata/internal/tree"
)

// needRoot skips a test whose trees have owners, devices and trusted attributes.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners, devices, trusted attributes")
	}
	probe := filepath.Join(t.TempDir(), "probe")
	if err := unix.Mknod(probe, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("needs mknod: %v", err)
	}
	if err := unix.Setxattr(filepath.Dir(probe), "trusted.x", nil, 0); err != nil {
		t.Skipf("needs trusted attributes: %v", err)
	}
}

// entries makes an archive of headers and contents; what a header leaves out is
// filled in as tar would.
type entry struct {
	tar.Header
	content string
	patch   func(block []byte) // for what archive/tar would not write
}

func file(name, content string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content: content}
}

func dir(name string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

func symlink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

func hardLink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}}
}

func (e entry) with(change func(*tar.Header)) entry {
	change(&e.Header)
	return e
}

func xattr(name, value string) func(*tar.Header) {
	return func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr." + name: value} }
}

func archive(t tree.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		if e.ModTime.IsZero() {
			e.ModTime = tree.Mtime
		}
		if e.Typeflag == tar.TypeXGlobalHeader {
			e.ModTime = time.Time{}
		}
		if err := errors.Join(w.Flush(), w.WriteHeader(&e.Header)); err != nil {
			t.Fatalf("header of %q: %v", e.Name, err)
		}
		if e.patch != nil {
			block := out.Bytes()[out.Len()-512:]
			e.patch(block)
			sum(block)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatalf("content of %q: %v", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("close archive: %v", err)
	}
	return out.Bytes()
}

// sum puts the sum that fits into a header block.
func sum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// open opens a directory, which the caller closes.
func open(t tree.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return f
}

// tempDir is a new directory beneath base.
func tempDir(t tree.T, base string) string {
	t.Helper()
	dir, err := os.MkdirTemp(base, "")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return dir
}

// applyOnce applies an archive to dir and checks nothing.
func applyOnce(ctx context.Context, dir string, data io.Reader, record io.Writer, opts layer.ApplyOptions) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = layer.Apply(ctx, data, f, record, opts)
	return err
}

// apply applies an archive to dir and checks what holds for every archive: the
// digest, that Rebuild gives the same bytes and that Verify finds no fault.
func apply(t tree.T, dir string, data []byte, opts layer.ApplyOptions) (layer.Info, error) {
	t.Helper()
	f := open(t, dir)
	defer f.Close()
	var record bytes.Buffer
	var implied []string
	asked := opts.Implied
	opts.Implied = func(path string) {
		implied = append(implied, path)
		if asked != nil {
			asked(path)
		}
	}
	info, err := layer.Apply(ctx, bytes.NewReader(data), f, &record, opts)
	if err != nil {
		return info, err
	}
	if want := oci.FromBytes(data); info.DiffID != want {
		t.Fatalf("diffID %s, want %s", info.DiffID, want)
	}
	if info.ArchiveSize != int64(len(data)) {
		t.Fatalf("archive size %d, want %d", info.ArchiveSize, len(data))
	}
	var again bytes.Buffer
	if err := layer.Rebuild(ctx, f, bytes.NewReader(record.Bytes()), &again); err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	if !bytes.Equal(again.Bytes(), data) {
		t.Fatalf("rebuilt archive of %d bytes differs from the applied one of %d", again.Len(), len(data))
	}
	wantApplied(t, f, record.Bytes(), info, opts, implied)
	return info, nil
}

// write writes dir as an archive and checks that Rebuild gives the same bytes.
func write(t tree.T, dir string, opts layer.WriteOptions) ([]byte, layer.Info) {
	t.Helper()
	f := open(t, dir)
	defer f.Close()
	var out, record, again bytes.Buffer
	info, err := layer.Write(ctx, f, &out, &record, opts)
	if err != nil {
		t.Fatalf("write %s: %v", dir, err)
	}
	if want := oci.FromBytes(out.Bytes()); info.DiffID != want || info.ArchiveSize != int64(out.Len()) {
		t.Fatalf("info %+v, want diffID %s and size %d", info, want, out.Len())
	}
	if err := layer.Rebuild(ctx, f, bytes.NewReader(record.Bytes()), &again); err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	if !bytes.Equal(again.Bytes(), out.Bytes()) {
		t.Fatalf("rebuilt archive of %d bytes differs from the written one of %d", again.Len(), out.Len())
	}
	if opts.Hollow == "" {
		wantVerified(t, f, record.Bytes(), info, layer.VerifyOptions{Marks: opts.Marks, Sealed: true, Epoch: opts.Epoch})
	}
	return out.Bytes(), info
}

// rewrite writes an applied tree, applies that to another directory and
// compares: a layer that came from elsewhere can be committed.
func rewrite(t tree.T, dir, to string) {
	t.Helper()
	data, _ := write(t, dir, layer.WriteOptions{Root: true})
	if _, err := apply(t, to, data, layer.ApplyOptions{}); err != nil {
		t.Fatalf("apply what was written: %v", err)
	}
	want, got := tree.Read(t, dir, tree.WithRoot).Map(wholeSeconds), tree.Read(t, to, tree.WithRoot)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("tree after Write and Apply (-want +got):\n%s", diff)
	}
}

// The mark on the root is the mount's to heed: the kernel looks for it in
// directories beneath only (overlay.Stack leaves out what it hides).
func TestOpaqueRoot(t *testing.T) {
	dir := t.TempDir()
	data := archive(t, file(".wh..wh..opq", ""), file("f", "x"))
	if _, err := apply(t, dir, data, layer.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if opaque, err := (layer.Marks{}).Opaque(int(f.Fd()), "."); err != nil || !opaque {
		t.Errorf("opaque mark on the root: %v, %v; want true", opaque, err)
	}
}
