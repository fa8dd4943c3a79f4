// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledArchives kills load and save at random moments: an image is there as a
// whole or not at all, and so is an archive.
func TestKilledArchives(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	whole := filepath.Join(p.dir, "whole.tar")
	p.must("save", "-o", whole, "bb")
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	compressed := filepath.Join(p.dir, "whole.zstd.tar")
	p.must("save", "--compression", "zstd", "-o", compressed, "bb")
	out, dir := filepath.Join(p.dir, "out.tar"), filepath.Join(p.dir, "layout")
	moment := func() time.Duration { return time.Duration(rand.IntN(80_000)) * time.Microsecond }
	for range 10 {
		killAt(t, p.start("save", "-o", out, "bb"), moment())
		if got, err := os.ReadFile(out); err == nil && !bytes.Equal(got, want) || err != nil && !os.IsNotExist(err) {
			t.Errorf("half an archive: %d bytes in place of %d, %v", len(got), len(want), err)
		}
		killAt(t, p.start("save", "--format", "oci-dir", "--compression", "gzip", "-o", dir, "bb"), moment())
		if _, err := os.Stat(dir); err == nil {
			p.must("load", "-q", "-i", dir)
		}
		p.must("rmi", "-f", "bb")
		for _, archive := range []string{whole, compressed} {
			killAt(t, p.start("load", "-i", archive), moment())
			if r := p.try("run", "--rm", "--pull", "never", "bb", "true"); r.code != 0 && !strings.Contains(r.stderr, "no such image") {
				t.Errorf("half an image: %+v", r)
			}
		}
		p.must("load", "-i", whole)
		os.Remove(out)
	}
	p.must("gc", "-q")
	p.works()
}
