// SPDX-License-Identifier: Apache-2.0

package mini

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAbsent(t *testing.T) {
	files := fstest.MapFS{"data/README": {Data: []byte("text")}}
	if _, err := archive(files); !errors.Is(err, ErrAbsent) {
		t.Errorf("archive: got %v, want ErrAbsent", err)
	}
	if _, err := digest(files); !errors.Is(err, ErrAbsent) {
		t.Errorf("digest: got %v, want ErrAbsent", err)
	}
	if !strings.Contains(ErrAbsent.Error(), "make") {
		t.Errorf("%q does not say what to do", ErrAbsent)
	}
}

func TestPresent(t *testing.T) {
	content := []byte("what a tar stream would be")
	sum := sha256.Sum256(content)
	want := "sha256:" + hex.EncodeToString(sum[:])
	files := fstest.MapFS{name: {Data: compressed(t, content, want)}}
	if got, err := digest(files); err != nil || got != want {
		t.Errorf("digest: got %q, %v, want %q", got, err, want)
	}
	r, err := archive(files)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("archive: got %q, %v, want %q", got, err, content)
	}
}

func TestDamaged(t *testing.T) {
	for what, content := range map[string][]byte{
		"empty":     {},
		"not gzip":  bytes.Repeat([]byte("x"), 200),
		"no digest": compressed(t, bytes.Repeat([]byte("x"), 200), ""),
	} {
		files := fstest.MapFS{name: {Data: content}}
		if got, err := digest(files); err == nil || errors.Is(err, ErrAbsent) {
			t.Errorf("%s: digest: got %q, %v, want an error of its own", what, got, err)
		}
	}
}

func compressed(t *testing.T, content []byte, comment string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Comment = comment
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEmbedded looks at the archive that is really built in.
func TestEmbedded(t *testing.T) {
	want, err := Digest()
	if errors.Is(err, ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := Archive()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sum := sha256.New()
	entries := tar.NewReader(io.TeeReader(r, sum))
	modes := map[string]fs.FileMode{}
	for {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s: owner %d:%d, want root", h.Name, h.Uid, h.Gid)
		}
		modes[h.Name] = h.FileInfo().Mode()
	}
	if _, err := io.Copy(sum, r); err != nil {
		t.Fatal(err)
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the archive's digest is %s, Digest says %s", got, want)
	}
	for name, mode := range map[string]fs.FileMode{
		"bin/mini": 0o755, "bin/sh": fs.ModeSymlink | 0o777, "etc/passwd": 0o644,
		"root/": fs.ModeDir | 0o700, "tmp/": fs.ModeDir | fs.ModeSticky | 0o777, "proc/": fs.ModeDir | 0o555,
	} {
		if modes[name] != mode {
			t.Errorf("%s: mode %v, want %v", name, modes[name], mode)
		}
	}
}
