// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strata/internal/oci"
)

// withRegistries writes a registries.conf.
func withRegistries(t *testing.T, text string) Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Files{Registries: []string{path}}
}

const configured = `
unqualified-search-registries = ["first.example", "second.example:5000"]
[aliases]
fedora = "registry.fedora.example/fedora"
"team/tool" = "tools.example/team/tool"
[[registry]]
prefix = "*.internal.example"
location = "gateway.example/mirror"
[[registry]]
location = "blocked.example"
blocked = true
[[registry]]
prefix = "blocked.example/but/not/this"
location = "blocked.example/but/not/this"
[[registry]]
prefix = "docker.io/library"
location = "hub.example/official"
insecure = true
[[registry.mirror]]
location = "mirror.example/hub"
[[registry.mirror]]
location = "localhost:5000"
insecure = true
pull-from-mirror = "digest-only"
[[registry]]
prefix = "*.wild.example"
[[registry]]
location = "mirrored.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "copy.example"
`

func TestConfiguration(t *testing.T) {
	var c Configuration
	if err := c.add([]byte(configured)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"quay.example/a/b":               "quay.example/a/b all",
		"x.internal.example/a":           "gateway.example/mirror/a all",
		"internal.example/a":             "internal.example/a all",
		"a.wild.example/b/c":             "a.wild.example/b/c all",
		"blocked.example/a":              "error registries.conf blocks blocked.example",
		"blocked.example:5000/a":         "blocked.example:5000/a all",
		"blocked.example/but/not/this":   "blocked.example/but/not/this all",
		"blocked.example/but/not/this/x": "blocked.example/but/not/this/x all",
		"blocked.example/but/not/thisx":  "error registries.conf blocks blocked.example",
		"docker.io/library/debian":       "mirror.example/hub/debian all, localhost:5000/debian digest-only insecure, hub.example/official/debian all insecure",
		"docker.io/user/x":               "docker.io/user/x all",
		"mirrored.example/a":             "copy.example/a digest-only, mirrored.example/a all",
	} {
		ref, err := oci.ParseReference(name)
		if err != nil {
			t.Fatal(err)
		}
		places, err := c.places(ref)
		var texts []string
		for _, p := range places {
			text := fmt.Sprintf("%s/%s %s", p.domain, p.repository, p.use)
			if p.insecure {
				text += " insecure"
			}
			texts = append(texts, text)
		}
		if message, isError := strings.CutPrefix(want, "error "); isError {
			wantError(t, err, message)
		} else if got := strings.Join(texts, ", "); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
}

func TestCandidates(t *testing.T) {
	var none, some Configuration
	if err := some.add([]byte(configured)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"debian":                 {"docker.io/library/debian", "first.example/debian second.example:5000/debian"},
		"user/x:1":               {"docker.io/user/x:1", "first.example/user/x:1 second.example:5000/user/x:1"},
		"docker.io/debian":       {"docker.io/library/debian", "docker.io/library/debian"},
		"index.docker.io/user/x": {"docker.io/user/x", "docker.io/user/x"},
		"fedora:40":              {"docker.io/library/fedora:40", "registry.fedora.example/fedora:40"},
		"team/tool":              {"docker.io/team/tool", "tools.example/team/tool"},
		"fedora@" + someDigest:   {"docker.io/library/fedora@" + someDigest, "registry.fedora.example/fedora@" + someDigest},
		"localhost/fedora":       {"localhost/fedora", "localhost/fedora"},
		"quay.example/a":         {"quay.example/a", "quay.example/a"},
	} {
		for i, c := range []*Configuration{&none, &some} {
			refs, err := c.candidates(name)
			var texts []string
			for _, r := range refs {
				texts = append(texts, r.String())
			}
			if got := strings.Join(texts, " "); err != nil || got != want[i] {
				t.Errorf("%s: got %s, %v, want %s", name, got, err, want[i])
			}
		}
	}
}

func TestConfigurationRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"[registries.search]\nregistries = ['docker.io']":                                       "the old format, version 1",
		"[[registry]]\ninsecure = true":                                                         "neither prefix nor location",
		"[[registry]]\nlocation = 'a'\n[[registry.mirror]]\ninsecure = true":                    "a mirror of a has no location",
		"[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation='b'\npull-from-mirror='x'": `pull-from-mirror = "x"`,
		"x = [": "toml:", "[[registry]]\nlocation = 5": "toml:", "unqualified-search-registries = 'x\x1b'": "toml:",
	} {
		wantError(t, new(Configuration).add([]byte(text)), want)
	}
}

// Files of registries.conf.d are read after the main one, in their order.
func TestConfigurationFiles(t *testing.T) {
	f := withRegistries(t, "unqualified-search-registries = ['one.example']\n[aliases]\na = 'x.example/a'\nb = 'x.example/b'")
	f.Registries = append(f.Registries, filepath.Join(t.TempDir(), "never read"))
	f.Registries = append([]string{filepath.Join(t.TempDir(), "absent")}, f.Registries...)
	dir := t.TempDir()
	for name, text := range map[string]string{"2.conf": "[aliases]\nb = 'second.example/b'", "1.conf": "[aliases]\nb = 'first.example/b'", "other": "nonsense ["} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.RegistriesDirs = []string{filepath.Join(dir, "absent"), dir}
	c, err := f.configuration()
	if err != nil || c.aliases["a"] != "x.example/a" || c.aliases["b"] != "second.example/b" || !slices.Equal(c.search, []string{"one.example"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "3.conf"), []byte("nonsense ["), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = f.configuration()
	wantError(t, err, filepath.Join(dir, "3.conf")+": toml")
}

// A mirror is asked first; what it does not have, or says wrongly, the registry
// itself gives.
func TestMirrors(t *testing.T) {
	mirror, own := newFake(t), newFake(t)
	d := own.addManifest("team/a", "1", oci.MediaTypeManifest, imageManifest)
	layer := own.addBlob([]byte("layer"))
	files := withRegistries(t, fmt.Sprintf("[[registry]]\nprefix = 'registry.example'\nlocation = '%s'\n[[registry.mirror]]\nlocation = '%s/copy'\n", own.host(), mirror.host()))
	client, _ := newTestClient(t, Options{Files: files})
	ref := oci.Reference{Domain: "registry.example", Repository: "team/a", Tag: "1"}
	r, err := client.Repository(ref)
	if err != nil {
		t.Fatal(err)
	}
	check := func(ref oci.Reference) {
		t.Helper()
		got, err := r.Manifest(t.Context(), ref)
		if err != nil || got.Digest != d.Digest {
			t.Errorf("got %s, %v", got.Digest, err)
		}
		if blob, err := read(t.Context(), r, layer); err != nil || string(blob) != "layer" {
			t.Errorf("got %q, %v", blob, err)
		}
	}
	check(ref)
	if mirror.requests("GET /v2/copy/team/a/") != 2 || own.requests("GET /v2/team/a/") != 2 {
		t.Errorf("the mirror saw %q, the registry %q", mirror.log, own.log)
	}
	mirror.manifests["copy/team/a@"+string(d.Digest)] = Document{oci.MediaTypeManifest, d.Digest, []byte(`{"schemaVersion":2}`)}
	check(oci.Reference{Domain: "registry.example", Repository: "team/a", Digest: d.Digest}) // a lie has another digest
	mirror.addBlob([]byte("layer"))
	mirror.addManifest("copy/team/a", "1", oci.MediaTypeManifest, imageManifest)
	before := own.requests("")
	check(ref)
	if own.requests("") != before {
		t.Errorf("the registry was asked for what the mirror has: %q", own.log)
	}
	_, err = r.Manifest(t.Context(), oci.Reference{Tag: "none"})
	wantError(t, err, "mirror "+mirror.host()+": ", own.host()+": 404")
	if _, err := r.Upload(t.Context(), contentOf([]byte("new"), true)); err != nil || mirror.methods("/uploads/") != "" {
		t.Errorf("got %v, the mirror saw %q", err, mirror.log)
	}
}
