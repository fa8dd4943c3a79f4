// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"time"
)

// bigEntries is how many entries the image has that a diff must not walk.
const bigEntries = 94_000

const bigImage = "bench-big"

func (b *bench) diff() error {
	archive := b.path("big.tar")
	if err := writeBig(archive, b.archive); err != nil {
		return err
	}
	if _, err := b.strata("import", archive, bigImage); err != nil {
		return err
	}
	podman, docker := b.podman.load(archive, bigImage), b.docker.load(archive, bigImage)
	if err := os.Remove(archive); err != nil {
		return err
	}
	for _, t := range []diffTable{
		{tenChanges, 200, 5, 0, podman, docker},
		{manyFiles, 60, 0, 2, podman, docker},
	} {
		if err := b.diffOne(t); err != nil {
			return err
		}
	}
	return nil
}

type diffTable struct {
	job             job
	rounds          int
	limit, perFloor float64 // ms, ratio
	podman, docker  string  // why they are absent
}

func (b *bench) diffOne(t diffTable) error {
	kept, err := b.stopped(t.job, bigImage)
	if err != nil {
		return err
	}
	upper, err := b.upperdir(kept)
	if err != nil {
		return err
	}
	contenders := []contender{
		{name: findName, run: b.fresh("find", upper)},
		{name: strataName, run: b.fresh(kept.command("diff", kept.name)...)},
		{name: emptyName, run: b.fresh(b.bin + "/empty")},
	}
	for _, e := range []*engine{b.podman, b.docker} {
		c, remove, err := b.diffPeer(e, t)
		if err != nil {
			return err
		}
		defer remove()
		contenders = append(contenders, c)
	}
	results, err := measure(b.rounds(t.rounds), contenders, nil)
	if err != nil {
		return err
	}
	ground := find(results, findName).times.median()
	limit := time.Duration(t.limit * 1e6)
	if t.perFloor > 0 {
		limit = scale(ground, t.perFloor)
	}
	table{
		title:   fmt.Sprintf("diff: %s on an image of %d entries", t.job.title, bigEntries),
		results: results, floor: ground, targets: map[string]time.Duration{strataName: limit}, comment: diffComment,
	}.print()
	return kept.remove()
}

const (
	findName    = "find over the upperdir"
	diffComment = `The ratios are to find, which only lists: it compares nothing with the image.
The caches are warm. All are fresh processes; docker's is only a client.`
)

// diffPeer makes a container of a peer with the same changes.
func (b *bench) diffPeer(e *engine, t diffTable) (c contender, remove func() error, err error) {
	c = contender{name: e.name, every: 20, absent: t.podman}
	if e == b.docker {
		c.absent = t.docker
	}
	if c.absent != "" {
		return c, func() error { return nil }, nil
	}
	s, err := e.stopped(b, t.job, bigImage)
	c.run = b.fresh(s.command("diff", s.name)...)
	return c, s.remove, err
}

// writeBig writes the Debian tree with small files to make up bigEntries.
func writeBig(path, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	w := tar.NewWriter(out)
	n, err := copyArchive(w, tar.NewReader(in))
	if err != nil {
		return err
	}
	if err := fillArchive(w, bigEntries-n); err != nil {
		return err
	}
	return w.Close()
}

func copyArchive(w *tar.Writer, r *tar.Reader) (n int, err error) {
	for {
		h, err := r.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n++
		if err := w.WriteHeader(h); err != nil {
			return n, err
		}
		if _, err := io.Copy(w, r); err != nil {
			return n, err
		}
	}
}

// fillArchive adds n entries beneath /data: directories with up to 99 files of
// 1 KiB.
func fillArchive(w *tar.Writer, n int) error {
	content := make([]byte, 1024)
	for i := range n {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprintf("data-%d/", i/100), Mode: 0o755, ModTime: time.Unix(1, 0)}
		if i%100 != 0 {
			h.Typeflag, h.Name, h.Mode, h.Size = tar.TypeReg, fmt.Sprintf("data-%d/%d", i/100, i%100), 0o644, int64(len(content))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(content[:h.Size]); err != nil {
			return err
		}
	}
	return nil
}
