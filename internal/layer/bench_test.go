// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"strata/internal/layer"
)

// The two figures of a commit, each with its floor: walking the same tree, and
// hashing the same bytes.

// smallFiles makes 20,000 files of about 1 KiB in 200 directories.
func smallFiles(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	content := make([]byte, 1536)
	for d := range 200 {
		dir := filepath.Join(root, fmt.Sprintf("directory-%03d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 100 {
			copy(content, fmt.Sprintf("content of %d/%d", d, f))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%03d", f)), content[:512+f*8], 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

// bigFile makes one file of a GiB.
func bigFile(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	f, err := os.Create(filepath.Join(root, "big"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for i := range 1024 {
		copy(chunk, fmt.Sprintf("chunk %d", i))
		if _, err := f.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	return root
}

func commit(b *testing.B, root string) {
	b.Helper()
	f := open(b, root)
	defer f.Close()
	if _, err := layer.Write(ctx, f, io.Discard, io.Discard, layer.WriteOptions{}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCommit20000Files(b *testing.B) {
	root := smallFiles(b)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			commit(b, root)
		}
	})
	b.Run("floor-find", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.Command("find", root, "-size", "-1").CombinedOutput(); err != nil {
				b.Fatalf("find: %v: %s", err, out)
			}
		}
	})
}

func BenchmarkCommit1GiB(b *testing.B) {
	root := bigFile(b)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			commit(b, root)
		}
	})
	b.Run("floor-sha256", func(b *testing.B) {
		buf := make([]byte, 1<<20)
		for b.Loop() {
			f := open(b, filepath.Join(root, "big"))
			if _, err := io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, buf); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
}

// BenchmarkApply applies the archives of the two trees above. Its floor is
// hashing them; what comes on top is the filesystem's.
func BenchmarkApply(b *testing.B) {
	for name, make := range map[string]func(*testing.B) string{"20000-files": smallFiles, "1GiB": bigFile} {
		b.Run(name, func(b *testing.B) {
			root := make(b)
			data, err := os.Create(filepath.Join(b.TempDir(), "archive"))
			if err != nil {
				b.Fatal(err)
			}
			defer data.Close()
			from := open(b, root)
			defer from.Close()
			info, err := layer.Write(ctx, from, data, nil, layer.WriteOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.ArchiveSize)
			for b.Loop() {
				to := open(b, tempDir(b, b.TempDir()))
				if _, err := layer.Apply(ctx, io.NewSectionReader(data, 0, info.ArchiveSize), to, io.Discard, layer.ApplyOptions{}); err != nil {
					b.Fatal(err)
				}
				to.Close()
			}
		})
	}
}
