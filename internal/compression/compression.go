// SPDX-License-Identifier: Apache-2.0

// Package compression recognises how a stream is compressed, by its first bytes
// and not by a name, and reads what is inside.
package compression

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the most memory that a zstd stream may ask for, in bytes
// (RFC 8878 recommends decoders to support 8 MiB; zstd -19 uses as much, and
// --ultra and --long up to 128 MiB and more).
const maxWindow = 64 << 20

// magics are the first bytes of each format.
var magics = []struct {
	name  string
	magic []byte
	open  func(*bufio.Reader) (io.ReadCloser, error)
}{
	{"gzip", []byte{0x1f, 0x8b, 8}, openGzip},
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, openZstd},
	{"xz", []byte{0xfd, '7', 'z', 'X', 'Z', 0}, nil},
	{"bzip2", []byte("BZh"), nil},
	{"lz4", []byte{0x04, 0x22, 0x4d, 0x18}, nil},
	{"zip", []byte("PK\x03\x04"), nil},
}

// ErrUnsupported is the cause when the format is known but cannot be read.
var ErrUnsupported = errors.New("compression is not supported; give it uncompressed, or as gzip or zstd")

// NewReader reads what r holds: the content of a gzip or zstd stream, with all
// its members or frames, or r itself when it has the mark of neither. The
// caller closes the result, which does not close r.
func NewReader(r io.Reader) (io.ReadCloser, error) {
	content, _, err := Decompress(r)
	return content, err
}

// Decompress is NewReader that tells whether r is compressed.
func Decompress(r io.Reader) (content io.ReadCloser, compressed bool, err error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	for _, m := range magics {
		if !bytes.HasPrefix(head, m.magic) {
			continue
		}
		if m.open == nil {
			return nil, true, fmt.Errorf("%s %w", m.name, ErrUnsupported)
		}
		content, err = m.open(b)
		return content, true, err
	}
	return io.NopCloser(b), false, nil
}

func openGzip(r *bufio.Reader) (io.ReadCloser, error) {
	if worthProgram(r) {
		if p, err := startProgram(gunzipper(), r); err == nil { // or we do it ourselves
			return p, nil
		}
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return z, nil
}

func openZstd(r *bufio.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return z.IOReadCloser(), nil
}
