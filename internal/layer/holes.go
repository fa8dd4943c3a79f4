// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"io"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// blockSize is that of most filesystems, in bytes: a smaller hole saves nothing.
const blockSize = 4 << 10

// A holeWriter fills a new, empty file from its beginning and leaves out the
// blocks that are zeros: a hole reads the same and takes no space (lseek(2),
// "Seeking file data and holes"). Most archives do not say where the holes of
// their files were, and a few compressed bytes can mean a terabyte of zeros.
type holeWriter struct {
	fd   int
	size int64 // so far
	hole bool  // the file ends in one, and so does not have its size yet
}

// Write writes all of p. A block of which p is only a part is left out by parts:
// it stays a hole if all of them are zeros.
func (w *holeWriter) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, zero := w.run(p[written:])
		if zero {
			_, err = unix.Seek(w.fd, int64(n), io.SeekCurrent)
		} else {
			_, err = linux.FD(w.fd).Write(p[written : written+n])
		}
		if err != nil {
			return written, err
		}
		written += n
		w.size += int64(n)
		w.hole = zero
	}
	return written, nil
}

// run is how many bytes p begins with that are all blocks of zeros or all
// others.
func (w *holeWriter) run(p []byte) (n int, zero bool) {
	for n < len(p) {
		end := min(len(p), n+blockSize-int((w.size+int64(n))%blockSize))
		z := isZero(p[n:end])
		if n > 0 && z != zero {
			break
		}
		n, zero = end, z
	}
	return n, zero
}

// isZero compares p with itself, one byte further: an instruction does 32 bytes.
func isZero(p []byte) bool { return p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1]) }

// finish gives a file that ends in a hole its size.
func (w *holeWriter) finish() error {
	if !w.hole {
		return nil
	}
	return linux.Retry(func() error { return unix.Ftruncate(w.fd, w.size) })
}
