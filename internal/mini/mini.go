// SPDX-License-Identifier: Apache-2.0

// Package mini holds the image that is embedded in the program: a small
// userland compiled from the source's own mini/ directory, so that there is
// something to run before anything was pulled.
package mini

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"compress/gzip"
)

// ErrAbsent says that the program was built without the image.
var ErrAbsent = errors.New(`mini is not built into this binary: run "make" in Strata's source`)

// data always has its README, so that the program builds without the archive.
//
//go:embed data
var data embed.FS

const name = "data/mini.tar.gz"

// Archive is the root filesystem as an uncompressed tar stream, the same bytes
// whenever mini/ is the same. The caller closes it. The error is ErrAbsent
// where there is none.
func Archive() (io.ReadCloser, error) { return archive(data) }

// Digest is the SHA-256 of what Archive gives, as "sha256:" and 64 digits: the
// diffID of the image's one layer. It costs no decompression. The error is
// ErrAbsent where there is no archive.
func Digest() (string, error) { return digest(data) }

func open(files fs.FS) (fs.File, error) {
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	return f, err
}

func archive(files fs.FS) (io.ReadCloser, error) {
	f, err := open(files)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// The header mini/rootfs writes: ten bytes with only the comment flag set, and
// the digest as the comment, ended by a zero byte (RFC 1952, 2.3).
const (
	headerSize  = 10
	flagsAt     = 3
	flagComment = 1 << 4
	digestSize  = len("sha256:") + 64
)

func digest(files fs.FS) (string, error) {
	f, err := open(files)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var header [headerSize + digestSize + 1]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	comment := header[headerSize:]
	if header[flagsAt] != flagComment || !bytes.HasPrefix(comment, []byte("sha256:")) || comment[digestSize] != 0 {
		return "", fmt.Errorf("read %s: no digest in its header", name)
	}
	return string(comment[:digestSize]), nil
}
