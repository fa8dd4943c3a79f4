// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/layer"
	"strata/internal/tree"
)

const block = 4 << 10

// dataBlocks is how many blocks of a file are not holes.
func dataBlocks(t tree.T, path string) (n int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer f.Close()
	for at := int64(0); ; {
		start, err := f.Seek(at, unix.SEEK_DATA)
		if err != nil { // ENXIO: no more of it
			return n
		}
		if at, err = f.Seek(start, unix.SEEK_HOLE); err != nil {
			t.Fatalf("%v", err)
		}
		n += (at - start + block - 1) / block
	}
}

// needHoles skips where the filesystem does not say where a file's blocks of 4
// KiB are.
func needHoles(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "probe")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 10*block); err != nil {
		t.Fatal(err)
	}
	if n := dataBlocks(t, path); n != 1 {
		t.Skipf("%s: one block written is %d blocks of data", dir, n)
	}
}

// drawContent draws runs of zeros and of others, about as long as blocks and as
// the chunks that Apply reads.
func drawContent(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 6).Draw(t, "runs") {
		length := rapid.SampledFrom([]int{1, 511, 512, block, 3 * block, 64 * block}).Draw(t, "length") +
			rapid.IntRange(-1, 1).Draw(t, "more")
		b.WriteString(strings.Repeat(rapid.SampledFrom([]string{"\x00", "x"}).Draw(t, "byte"), length))
	}
	return b.String()
}

// wantBlocks counts the blocks of content with anything but zeros.
func wantBlocks(content string) (n int64) {
	for ; len(content) > 0; content = content[min(block, len(content)):] {
		if strings.Trim(content[:min(block, len(content))], "\x00") != "" {
			n++
		}
	}
	return n
}

// TestHoles checks that exactly the blocks of zeros are holes, wherever in the
// archive a file begins, and that neither content nor digest shows it.
func TestHoles(t *testing.T) {
	base := t.TempDir()
	needHoles(t, base)
	rapid.Check(t, func(rt *rapid.T) {
		before := strings.Repeat("x", rapid.IntRange(0, 8).Draw(rt, "blocks before")*512)
		content := drawContent(rt)
		dir := tempDir(rt, base)
		defer os.RemoveAll(dir)
		data := archive(rt, file("before", before), file("f", content))
		if _, err := apply(rt, dir, data, layer.ApplyOptions{Unprivileged: true}); err != nil {
			rt.Fatalf("apply: %v", err)
		}
		path := filepath.Join(dir, "f")
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			rt.Fatalf("the file has other content (%d bytes, want %d): %v", len(got), len(content), err)
		}
		if got, want := dataBlocks(rt, path), wantBlocks(content); got != want {
			rt.Fatalf("%d blocks of data, want %d", got, want)
		}
	})
}

// TestHolesAllocateNothing applies a file of mostly zeros, and what is written
// of that again: both take a block or two on disk.
func TestHolesAllocateNothing(t *testing.T) {
	base := t.TempDir()
	needHoles(t, base)
	const size = 32 << 20
	content := make([]byte, size)
	copy(content[size/2:], "data")
	first, second := tempDir(t, base), tempDir(t, base)
	opts := layer.ApplyOptions{Unprivileged: true}
	if _, err := apply(t, first, archive(t, file("f", string(content))), opts); err != nil {
		t.Fatal(err)
	}
	data, _ := write(t, first, layer.WriteOptions{Root: true})
	if _, err := apply(t, second, data, opts); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{first, second} {
		path := filepath.Join(dir, "f")
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if allocated := st.Blocks * 512; st.Size != size || allocated > 16*block {
			t.Errorf("%d bytes, %d of them allocated", st.Size, allocated)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the content differs: %v", err)
		}
	}
}
