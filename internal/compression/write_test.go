// SPDX-License-Identifier: Apache-2.0

package compression

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
)

type newWriter = func(io.Writer, int) (io.WriteCloser, error)

func compress(t *testing.T, open newWriter, level int, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := open(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(100_000))
		if _, err := z.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Equal content gives equal bytes, however it is written and on however many
// processors, and is read again.
func TestWrite(t *testing.T) {
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = "abcdefgh"[rand.IntN(8)]
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, c := range map[string]struct {
		open  newWriter
		level int
	}{"gzip": {NewGzipWriter, 0}, "gzip 1": {NewGzipWriter, 1}, "zstd": {NewZstdWriter, 0}, "zstd 1": {NewZstdWriter, 1}} {
		for _, content := range [][]byte{nil, content[:1], content} {
			runtime.GOMAXPROCS(1)
			want := compress(t, c.open, c.level, content)
			runtime.GOMAXPROCS(4)
			if got := compress(t, c.open, c.level, content); !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes give %d and %d bytes that differ", name, len(content), len(want), len(got))
			}
			r, compressed, err := Decompress(bytes.NewReader(want))
			if err != nil || !compressed {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes are read in place of %d: %v", name, len(got), len(content), err)
			}
			r.Close()
		}
	}
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := NewGzipWriter(io.Discard, level); err == nil {
			t.Errorf("gzip takes level %d", level)
		}
	}
	for _, level := range []int{-1, 23} {
		if _, err := NewZstdWriter(io.Discard, level); err == nil {
			t.Errorf("zstd takes level %d", level)
		}
	}
}
