// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"strata/internal/tree"
)

const (
	imageFiles  = 94_000
	imageLayers = 14
	newFiles    = 20_000
)

// benchImage makes an image of the size of a large one: files spread over
// directories and layers.
func benchImage(b *testing.B) Stack {
	b.Helper()
	needMount(b)
	dir := b.TempDir()
	var s Stack
	for i := range imageLayers {
		layer := filepath.Join(dir, fmt.Sprint("layer", i))
		fill(b, layer, imageFiles/imageLayers, func(n int) string {
			return fmt.Sprintf("usr/share/d%03d/l%d-%d", n%300, i, n)
		})
		s.Lowers = append(s.Lowers, openDir(b, layer))
	}
	s.Upper, s.Work = makeDir(b, dir+"/upper"), makeDir(b, dir+"/work")
	return s
}

func fill(b *testing.B, root string, n int, name func(int) string) {
	b.Helper()
	made := map[string]bool{}
	for i := range n {
		path := filepath.Join(root, name(i))
		if dir := filepath.Dir(path); !made[dir] {
			made[dir] = true
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func benchChanges(b *testing.B, s Stack, want int) {
	b.Run("changes", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range Changes(s.Upper, s.Lowers, Marks{}) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != want {
				b.Fatalf("got %d changes, want %d", n, want)
			}
		}
	})
	b.Run("floor-find", func(b *testing.B) { // process start included
		for b.Loop() {
			if err := exec.Command("find", s.Upper.Name()).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor-walk", func(b *testing.B) { // in this process
		for b.Loop() {
			if err := filepath.WalkDir(s.Upper.Name(), func(string, os.DirEntry, error) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTenChanges is 10 files changed in an image of 94,000 in 14 layers.
func BenchmarkTenChanges(b *testing.B) {
	s := benchImage(b)
	root := mountAt(b, s)
	for i := range 10 {
		if err := os.WriteFile(fmt.Sprintf("%susr/share/d%03d/l%d-%d", root, i, i, i), []byte("new"), 0); err != nil {
			b.Fatal(err)
		}
	}
	benchChanges(b, s, 10+10+2)
}

// BenchmarkNewFiles is 20,000 files added in directories of their own, and in
// one that the image has.
func BenchmarkNewFiles(b *testing.B) {
	b.Run("own", func(b *testing.B) {
		s := benchImage(b)
		fill(b, s.Upper.Name(), newFiles, func(n int) string { return fmt.Sprintf("new/d%d/f%d", n%200, n) })
		benchChanges(b, s, newFiles+200+1)
	})
	b.Run("one", func(b *testing.B) {
		s := benchImage(b)
		fill(b, s.Upper.Name(), newFiles, func(n int) string { return fmt.Sprintf("new/f%d", n) })
		benchChanges(b, s, newFiles+1)
	})
	b.Run("merged", func(b *testing.B) {
		s := benchImage(b)
		fill(b, s.Upper.Name(), newFiles, func(n int) string { return fmt.Sprintf("usr/share/d%03d/new%d", n%300, n) })
		benchChanges(b, s, newFiles+300+2)
	})
}

// BenchmarkMount is a detached mount by each way, and its end.
func BenchmarkMount(b *testing.B) {
	for _, n := range []int{1, imageLayers, MaxLowers} {
		for _, w := range ways {
			b.Run(fmt.Sprintf("%s-%d", w.name, n), func(b *testing.B) {
				needMount(b, w.way)
				s := newStack(b, n)
				for b.Loop() {
					m, err := s.mountBy(w.way)
					if err != nil {
						b.Fatal(err)
					}
					m.Close()
				}
			})
		}
	}
}

// BenchmarkOneLargeDirectory is one new name in a directory of 94,000, which
// must not be read for it.
func BenchmarkOneLargeDirectory(b *testing.B) {
	needMount(b)
	dir := b.TempDir()
	fill(b, dir+"/layer", imageFiles, func(n int) string { return fmt.Sprintf("d/f%d", n) })
	s := Stack{Lowers: []*os.File{openDir(b, dir+"/layer")}, Upper: makeDir(b, dir+"/upper")}
	tree.Create(b, s.Upper.Name(), tree.New(tree.File("d/new", "")))
	benchChanges(b, s, 2)
}
