// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"path"
	"testing"
)

// TestTree: the order of the entries given does not matter, every entry comes
// after its directory, and every link leads to something.
func TestTree(t *testing.T) {
	entries := tree([]byte("program"))
	archive, err := write(entries)
	if err != nil {
		t.Fatal(err)
	}
	again := tree([]byte("program"))
	for i, j := 0, len(again)-1; i < j; i, j = i+1, j-1 {
		again[i], again[j] = again[j], again[i]
	}
	other, err := write(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(archive, other) {
		t.Error("the archive depends on the order of the entries")
	}
	seen := map[string]bool{".": true}
	var links []tar.Header
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean(h.Name)
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		if !seen[path.Dir(name)] {
			t.Errorf("%s comes before its directory", name)
		}
		seen[name] = true
		if h.Typeflag == tar.TypeSymlink {
			links = append(links, *h)
		}
	}
	for _, h := range links {
		if target := path.Join(path.Dir(h.Name), h.Linkname); !seen[target] {
			t.Errorf("%s -> %s leads nowhere", h.Name, h.Linkname)
		}
	}
}
