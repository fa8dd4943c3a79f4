// SPDX-License-Identifier: Apache-2.0

package compression

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdCompressed(t *testing.T, s string, options ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, s)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNewReader(t *testing.T) {
	const text = "some text, not long"
	for name, stream := range map[string][]byte{
		"plain":             []byte(text),
		"gzip":              gzipped(t, text),
		"gzip, two members": append(gzipped(t, text[:5]), gzipped(t, text[5:])...),
		"zstd":              zstdCompressed(t, text),
		"zstd, two frames":  append(zstdCompressed(t, text[:5]), zstdCompressed(t, text[5:])...),
	} {
		r, err := NewReader(bytes.NewReader(stream))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if string(got) != text || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		r.Close()
	}
}

func TestEmptyIsPlain(t *testing.T) {
	r, err := NewReader(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); len(got) != 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTruncated(t *testing.T) {
	text := strings.Repeat("0123456789", 10000)
	for name, stream := range map[string][]byte{"gzip": gzipped(t, text), "zstd": zstdCompressed(t, text)} {
		r, err := NewReader(bytes.NewReader(stream[:len(stream)-5]))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v, want unexpected EOF", name, err)
		}
	}
}

func TestUnsupportedIsNamed(t *testing.T) {
	_, err := NewReader(strings.NewReader("\xfd7zXZ\x00rest"))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "xz") {
		t.Errorf("got %v, want that xz is not supported", err)
	}
}

// A frame may claim a window that would take all memory.
func TestWindowIsBounded(t *testing.T) {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00} // window descriptor: 2^41 bytes
	r, err := NewReader(bytes.NewReader(frame))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		r.Close()
	}
	if !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("got %v, want that the window is too large", err)
	}
}

func FuzzNewReader(f *testing.F) {
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0})
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	})
}
