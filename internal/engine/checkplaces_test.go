// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented are the paths of the table in docs/format.md.
func documented(t *testing.T) (paths []string) {
	t.Helper()
	data, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		dir := ""
		for _, match := range code.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			p := dir + match[1] // the second name of a row is beside the first
			dir = path.Dir(strings.TrimSuffix(p, "/")) + "/"
			paths = append(paths, p)
		}
	}
	return paths
}

// What the document lists check knows, and the other way round.
func TestPlacesAreDocumented(t *testing.T) {
	paths := documented(t)
	if len(paths) < 20 {
		t.Fatalf("paths in the document: %q", paths)
	}
	for _, p := range paths {
		if !slices.ContainsFunc(places, func(known place) bool { return known.path == p }) {
			t.Errorf("check does not know %s", p)
		}
	}
	for _, known := range places {
		if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, known.path) }) {
			t.Errorf("docs/format.md does not have %s", known.path)
		}
	}
}

func TestFits(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for name, want := range map[string]string{
		"layers": "layers/", "other": "", "format.json": "format.json", "": "",
	} {
		if got, _ := placeOf("", name); got.path != want {
			t.Errorf("%q: place %q, want %q", name, got.path, want)
		}
	}
	for name, want := range map[string]string{
		"tree": "layers/HEX/tree/", "blob-" + hex: "layers/HEX/blob-HEX", "blob-": "", "blob-" + hex[1:]: "", hex: "",
	} {
		if got, _ := placeOf("layers/HEX/", name); got.path != want {
			t.Errorf("%q in a layer: place %q, want %q", name, got.path, want)
		}
	}
	for dir, names := range map[string]map[string]bool{
		"layers/": {hex: true, strings.ToUpper(hex): false, hex + "0": false}, "images/names/": {hex + ".json": true, hex: false},
		"names/": {"web": true, "-web": false, "w": false}, "staging/": {"anything": true},
	} {
		for name, want := range names {
			if _, got := placeOf(dir, name); got != want {
				t.Errorf("%s%s: %v, want %v", dir, name, got, want)
			}
		}
	}
}
