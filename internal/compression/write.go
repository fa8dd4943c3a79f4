// SPDX-License-Identifier: Apache-2.0

package compression

import (
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// gzipBlock is what is compressed by one processor at a time, in bytes. The
// output depends on it, so it is the same everywhere. Memory follows from how many
// there are at once.
const (
	gzipBlock  = 1 << 20
	gzipBlocks = 8
)

// NewGzipWriter compresses what is written to it and writes it to w, on several
// processors. Levels are 1 to 9; 0 is the usual one. Equal content gives equal
// bytes. The caller closes it, which does not close w.
func NewGzipWriter(w io.Writer, level int) (io.WriteCloser, error) {
	if level == 0 {
		level = pgzip.DefaultCompression
	} else if level < pgzip.BestSpeed || level > pgzip.BestCompression {
		return nil, fmt.Errorf("gzip level %d: give 1 to 9", level)
	}
	z, err := pgzip.NewWriterLevel(w, level)
	if err == nil {
		err = z.SetConcurrency(gzipBlock, min(runtime.GOMAXPROCS(0)+1, gzipBlocks))
	}
	return z, err
}

// NewZstdWriter is the same for zstd, with levels 1 to 22.
func NewZstdWriter(w io.Writer, level int) (io.WriteCloser, error) {
	if level < 0 || level > 22 {
		return nil, fmt.Errorf("zstd level %d: give 1 to 22", level)
	}
	speed := zstd.SpeedDefault
	if level > 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	return zstd.NewWriter(w, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(2))
}
