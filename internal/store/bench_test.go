// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"strata/internal/store"
)

// fill makes an upperdir called upper in box with n files of the given size.
func fill(b *testing.B, box string, n, size int) {
	b.Helper()
	for i := range n {
		dir := fmt.Sprintf("%s/upper/%03d", box, i/100)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		content := bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), size/8)
		if err := os.WriteFile(fmt.Sprint(dir, "/", i), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, c := range []struct{ n, size int }{{10, 100}, {20_000, 100}, {1, 256 << 20}} {
		b.Run(fmt.Sprintf("%d files of %d bytes", c.n, c.size), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s, box := newStore(b), b.TempDir()
				fill(b, box, c.n, c.size)
				from := openDir(b, box)
				b.StartTimer()
				if _, err := s.Seal(context.Background(), from, "upper", store.SealOptions{}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				os.RemoveAll(s.Path())
				b.StartTimer()
			}
		})
	}
}

// BenchmarkHash is the floor of sealing large files.
func BenchmarkHash(b *testing.B) {
	data := make([]byte, 256<<20)
	for b.Loop() {
		sha256.Sum256(data)
	}
}
