// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// digest is that of bytes, as documents have it.
func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// archiveOf is an archive of entries, and the same compressed.
func archiveOf(t testing.TB, entries ...*tar.Header) (plain, compressed []byte) {
	t.Helper()
	var raw, gz bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range entries {
		content := []byte(strings.Repeat(h.Linkname, int(h.Size)))
		if h.Typeflag == tar.TypeReg {
			h.Linkname, h.Size = "", int64(len(content))
		}
		h.ModTime = time.Unix(1600000000, 0)
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); h.Typeflag == tar.TypeReg && err != nil {
			t.Fatal(err)
		}
	}
	z := gzip.NewWriter(&gz)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes(), gz.Bytes()
}

// text is a file whose content is word, again and again.
func text(name, word string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Linkname: word, Size: 100}
}

func folder(name string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}
}

// layoutOf writes an OCI layout of one image into dir.
func layoutOf(t testing.TB, dir, name string, layers ...[2][]byte) {
	t.Helper()
	put := func(mediaType string, data []byte) map[string]any {
		path := filepath.Join(dir, "blobs/sha256", digest(data)[7:])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"mediaType": mediaType, "digest": digest(data), "size": len(data)}
	}
	document := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var diffIDs []string
	var descriptors []any
	for _, l := range layers {
		diffIDs = append(diffIDs, digest(l[0]))
		descriptors = append(descriptors, put("application/vnd.oci.image.layer.v1.tar+gzip", l[1]))
	}
	config := put("application/vnd.oci.image.config.v1+json", document(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": []string{"true"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}))
	manifest := put("application/vnd.oci.image.manifest.v1+json", document(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": descriptors,
	}))
	manifest["annotations"] = map[string]string{"org.opencontainers.image.ref.name": name}
	index := document(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	for file, data := range map[string][]byte{"index.json": index, "oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A sample is a store with one of everything, and what its parts are called, for
// the scripts that damage them and the lines that check says.
type sample struct {
	*place
	names map[string]string
}

// newSample makes a store with the image app, of two layers that came compressed,
// the second of which needs completion; the image img, committed on mini; and the
// containers web, which has run, and idle, on app.
func newSample(t *testing.T, p *place) *sample {
	t.Helper()
	one, oneGz := archiveOf(t, folder("./", 0o755), folder("etc/", 0o755), text("etc/passwd", "root", 0o644), text("su", "su", 0o4755), folder("tmp/", 0o1777))
	two, twoGz := archiveOf(t, text("tmp/x", "x", 0o644), text("etc/.wh.passwd", "", 0o644))
	layout := filepath.Join(p.dir, "layout")
	layoutOf(t, layout, "app:latest", [2][]byte{one, oneGz}, [2][]byte{two, twoGz})
	p.must("load", "-q", "-i", layout)
	if err := os.RemoveAll(layout); err != nil {
		t.Fatal(err)
	}
	p.must("create", "--name", "idle", "app", "true")
	p.must("export", "-o", filepath.Join(p.dir, "exported"), "idle")
	p.must("create", "--name", "web", "mini", "sh", "-c", "echo x > /x")
	p.must("start", "-a", "web")
	p.must("commit", "web", "img")
	p.must("start", "-a", "web")
	p.must("update", "--pids-limit", "99", "web")
	p.must("df")
	p.must("gc", "-q")
	p.must("run", "--rm", "--cap-drop", "ALL", "mini", "true")
	s := &sample{p, map[string]string{}}
	s.name(one, two, oneGz)
	return s
}

// name gives the parts of the store names for scripts and lines.
func (s *sample) name(one, two, oneGz []byte) {
	first := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil || len(found) == 0 {
			s.t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		return filepath.Base(found[0])
	}
	var inspected []struct{ Id string }
	read := func(kind, name string) string {
		if err := json.Unmarshal([]byte(s.must("inspect", name)), &inspected); err != nil || len(inspected) != 1 {
			s.t.Fatalf("inspect %s %s: %v", kind, name, err)
		}
		return strings.TrimPrefix(inspected[0].Id, "sha256:")
	}
	s.names["ONE"], s.names["TWO"], s.names["BLOB"] = digest(one)[7:], digest(two)[7:], digest(oneGz)[7:]
	s.names["WEB"], s.names["IDLE"] = read("container", "web"), read("container", "idle")
	s.names["APP"], s.names["IMG"] = read("image", "app"), read("image", "img")
	s.names["NAME"] = digest([]byte("docker.io/library/app:latest"))[7:] + ".json"
	s.names["FILTER"], s.names["CHAIN"] = first("seccomp/*"), first("layers/"+s.names["TWO"]+"/implied/*")
	manifest := struct{ Manifest string }{}
	data, err := os.ReadFile(filepath.Join(s.root, "images/names", s.names["NAME"]))
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.names["MANIFEST"] = strings.TrimPrefix(manifest.Manifest, "sha256:")
	var config struct{ Layers []string }
	if data, err = os.ReadFile(filepath.Join(s.root, "containers", s.names["WEB"], "config.json")); err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil || len(config.Layers) != 2 {
		s.t.Fatalf("the layers of web: %q, %v", config.Layers, err)
	}
	s.names["SEALED"] = strings.TrimPrefix(config.Layers[1], "sha256:")
}

// expand puts the names in the place of their variables; twelve digits of what is
// written with a colon.
func (s *sample) expand(text string) string {
	return os.Expand(text, func(name string) string {
		if short, ok := strings.CutSuffix(name, ":"); ok {
			return s.names[short][:12]
		}
		switch name {
		case "ROOT":
			return s.root
		case "CHANGED": // whatever digest
			return name
		case "d": // the script's own
			return "$d"
		}
		if value, ok := s.names[name]; ok {
			return value
		}
		s.t.Fatalf("no name %s in %q", name, text)
		return ""
	})
}

// copied is the store once more, to be damaged.
func (s *sample) copied(t *testing.T) *sample {
	t.Helper()
	p := newPlace(t)
	p.who, p.env = s.who, append(p.env, s.env[len(p.env):]...)
	if out, err := exec.Command("cp", "-a", s.root, p.root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if p.who != nil {
		if err := openTo(p.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(p.dir, int(p.who.Uid), int(p.who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return &sample{p, s.names}
}

// shell runs a script in the store.
func (s *sample) shell(script string) {
	s.t.Helper()
	cmd := exec.Command("sh", "-ec", s.expand(script))
	cmd.Dir = s.root
	if s.who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// check runs check and compares the lines that it says of faults, and the code.
func (s *sample) check(code int, lines string, args ...string) {
	s.t.Helper()
	r := s.try(append([]string{"check", "-q"}, args...)...)
	want := strings.TrimSpace(s.expand(lines))
	if want != "" {
		want += "\n"
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "CHANGED", "[0-9a-f]{64}")
	if !regexp.MustCompile("^"+pattern+"$").MatchString(r.stdout) || r.code != code || r.stderr != "" {
		s.t.Errorf("check %v: code %d, want %d, standard error %q, lines\n%swant\n%s", args, r.code, code, r.stderr, r.stdout, want)
	}
}
