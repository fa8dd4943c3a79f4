// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode"

	"strata/internal/oci"
)

// FuzzArchive reads what is no archive, in both ways. They may differ only in what
// a stream says of layers, which it has read by then.
func FuzzArchive(f *testing.F) {
	a := newSample(f, "amd64", "one", "two")
	f.Add(tarOf(f, append(a.files(), layout(f, index(f, a.named("a")))...)...))
	f.Add(tarOf(f, file{name: "c.json", content: a.config}, file{name: "1", content: a.layers[0]}, file{name: "2", link: "1"},
		file{name: dockerName, content: asJSON(f, []dockerImage{{"c.json", []string{"a"}, []string{"1", "2"}}})}))
	f.Fuzz(func(t *testing.T, data []byte) {
		images, err := readAll(Open(bytes.NewReader(data), int64(len(data))))
		shown(t, images, err)
		images, err = readAll(ReadStream(context.Background(), bytes.NewReader(data), take))
		shown(t, images, err)
	})
}

// FuzzIndex reads an index.json, and every name in it.
func FuzzIndex(f *testing.F) {
	a := newSample(f, "amd64", "one")
	f.Add(index(f, a.named("a"), withPlatform(a.named("\x1b"), "arm64")), "oci-layout")
	f.Add(index(f, withType(a.named(""), "x\n")), "./../blobs/sha256/x")
	f.Fuzz(func(t *testing.T, doc, name string) {
		if strings.Contains(name, "\x00") || name == "" || len(name) > 5000 {
			return
		}
		files := append(layout(t, doc, a.files()...), file{name: "hidden", content: name})
		images, err := readAll(openFiles(t, files))
		shown(t, images, err)
		roots, err := addToIndex([]byte(doc), descriptors([]OutImage{a.out(t, "b")}))
		if err != nil {
			return
		}
		if _, err := oci.ParseIndex(roots); err != nil {
			t.Errorf("what was added to %q cannot be parsed: %v", doc, err)
		}
	})
}

// FuzzDocker reads a manifest.json.
func FuzzDocker(f *testing.F) {
	a := newSample(f, "amd64", "one")
	f.Add(asJSON(f, []dockerImage{{"c.json", []string{"a", "\x1b"}, []string{"../1.tar"}}}), "../1.tar", "x")
	f.Add(asJSON(f, []dockerImage{{"./c.json", nil, []string{"a/../1"}}}), "1", "a")
	f.Fuzz(func(t *testing.T, doc, name, link string) {
		if strings.ContainsAny(name+link, "\x00") || len(name+link) > 5000 {
			return
		}
		images, err := readAll(openFiles(t, []file{
			{name: "c.json", content: a.config}, {name: name, content: a.layers[0]}, {name: "link", link: link}, {name: dockerName, content: doc},
		}))
		shown(t, images, err)
	})
}

func openFiles(t testing.TB, files []file) (*Reader, error) {
	data := tarOf(t, files...)
	return Open(bytes.NewReader(data), int64(len(data)))
}

// shown is what may come to a terminal.
func shown(t *testing.T, images []Image, err error) {
	if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
		t.Errorf("control characters in %q", err)
	}
	for _, img := range images {
		for _, n := range img.Names {
			if n.Tag == "" || n.Digest != "" || strings.ContainsFunc(n.String(), unicode.IsControl) {
				t.Errorf("an image is called %q", n)
			}
		}
	}
}
