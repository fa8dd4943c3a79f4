// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportOfRemoved removes a container, its image and all garbage while both
// are being exported: the archive is whole, and what it was read from goes with
// the next gc.
func TestExportOfRemoved(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	// The first file fills buffers and pipe; there are more than are opened ahead.
	const files, size = 400, 3
	p.must("import", os.Getenv(rootfsEnv), "bb")
	write := fmt.Sprintf("dd if=/dev/zero of=/a bs=1M count=16; mkdir -p /z; for i in $(seq %d); do echo $0 > /z/$0$i; done", files)
	p.must("run", "--name", "below", "bb", "sh", "-c", write, "be")
	p.must("commit", "below", "img")
	p.must("rm", "below")
	p.must("run", "--name", "con", "img", "sh", "-c", write, "on")

	archive, out := pipeOf(t)
	export := p.command("export", "con")
	export.Stdout = out
	if err := export.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	first := make([]byte, 512)
	if _, err := io.ReadFull(archive, first); err != nil {
		t.Fatal(err)
	}
	p.must("rm", "con")
	p.must("rmi", "img")
	p.must("rmi", "bb")
	p.must("gc", "-q")
	if left := p.containers(); len(left) > 0 {
		t.Errorf("containers left: %q", left)
	}
	if layers, _ := filepath.Glob(p.root + "/layers/*"); len(layers) > 0 {
		t.Errorf("layers left: %q", layers)
	}
	sizes := sizesIn(t, io.MultiReader(strings.NewReader(string(first)), archive))
	if err := export.Wait(); err != nil {
		t.Errorf("export: %v", err)
	}
	for i := range files {
		for _, name := range []string{"be", "on"} {
			if got := sizes[fmt.Sprint("z/", name, i+1)]; got != size {
				t.Errorf("%s%d: %d bytes in the archive", name, i+1, got)
			}
		}
	}
	if sizes["bin/busybox"] == 0 {
		t.Error("the image's program is missing in the archive")
	}
	p.must("gc", "-q")
	if trash, _ := filepath.Glob(p.root + "/trash/*"); len(trash) > 0 {
		t.Errorf("the trash keeps what nobody reads: %q", trash)
	}
}

func pipeOf(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, w
}

// sizesIn reads an archive to its end and returns how much of each file is in it.
func sizesIn(t *testing.T, r io.Reader) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	archive := tar.NewReader(r)
	for {
		hdr, err := archive.Next()
		if err == io.EOF {
			return sizes
		}
		if err != nil {
			t.Fatalf("read the archive: %v", err)
		}
		n, err := io.Copy(io.Discard, archive)
		if err != nil {
			t.Fatalf("read %s: %v", hdr.Name, err)
		}
		sizes[strings.TrimPrefix(hdr.Name, "./")] = n
	}
}
