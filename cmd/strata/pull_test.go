// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/oci"
)

// A shelf is a registry that serves what is put on it.
type shelf struct {
	*httptest.Server
	// before is asked first; if it answers it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	docs  map[string][]byte // by path; guarded by mu, as what follows
	types map[string]string
	asked map[string]int
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{docs: map[string][]byte{}, types: map[string]string{}, asked: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		data, ok := s.docs[r.URL.Path]
		mediaType := s.types[r.URL.Path]
		s.asked[r.URL.Path]++
		s.mu.Unlock()
		switch {
		case s.before != nil && s.before(w, r):
		case r.URL.Path == "/v2/":
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) name(tag string) string { return strings.TrimPrefix(s.URL, "http://") + "/a:" + tag }

func (s *shelf) blob(mediaType string, data []byte) oci.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := oci.Descriptor{MediaType: mediaType, Digest: oci.FromBytes(data), Size: int64(len(data))}
	s.docs["/v2/a/blobs/"+string(d.Digest)] = data
	return d
}

func (s *shelf) manifest(tag, mediaType, document string) oci.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := oci.Descriptor{MediaType: mediaType, Digest: oci.FromBytes([]byte(document)), Size: int64(len(document))}
	for _, path := range []string{"/v2/a/manifests/" + tag, "/v2/a/manifests/" + string(d.Digest)} {
		s.docs[path], s.types[path] = []byte(document), mediaType
	}
	return d
}

// image puts an image of one layer on the shelf, as the test's root filesystem.
func (s *shelf) image(t *testing.T, tag string, change func(config *string, layer *oci.Descriptor)) oci.Descriptor {
	t.Helper()
	archive, err := os.ReadFile(os.Getenv(rootfsEnv) + ".tar")
	if err != nil {
		t.Fatal(err)
	}
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	z.Write(archive)
	z.Close()
	layer := s.blob(oci.MediaTypeLayerGzip, compressed.Bytes())
	config := fmt.Sprintf(`{"architecture":%q,"os":"linux","unknown":[1],"rootfs":{"type":"layers","diff_ids":[%q]}}`, oci.HostPlatform().Architecture, oci.FromBytes(archive))
	if change != nil {
		change(&config, &layer)
	}
	return s.manifest(tag, oci.MediaTypeManifest, manifestOf(s.blob(oci.MediaTypeConfig, []byte(config)), layer))
}

func descriptorText(d oci.Descriptor) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
}

func manifestOf(config oci.Descriptor, layers ...oci.Descriptor) string {
	var texts []string
	for _, l := range layers {
		texts = append(texts, descriptorText(l))
	}
	return `{"schemaVersion":2,"mediaType":"` + oci.MediaTypeManifest + `","config":` + descriptorText(config) + `,"layers":[` + strings.Join(texts, ",") + `],"annotations":{"x":"y"}}`
}

// TestPullHostile pulls from a registry that lies. Each time one line says what
// was wrong, and nothing of it stays.
func TestPullHostile(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p, s := newPlace(t), newShelf(t)
	other := oci.FromBytes([]byte("other"))
	s.image(t, "diffid", func(config *string, _ *oci.Descriptor) {
		*config = (*config)[:strings.Index(*config, "sha256:")] + string(other) + `"]}}`
	})
	s.image(t, "digest", func(_ *string, l *oci.Descriptor) {
		s.docs["/v2/a/blobs/"+string(other)] = s.docs["/v2/a/blobs/"+string(l.Digest)]
		l.Digest = other
	})
	s.image(t, "short", func(_ *string, l *oci.Descriptor) { l.Size++ })
	s.image(t, "long", func(_ *string, l *oci.Descriptor) { l.Size-- })
	s.image(t, "absent", func(_ *string, l *oci.Descriptor) { l.Digest = oci.FromBytes([]byte("absent")) })
	s.image(t, "huge", func(_ *string, l *oci.Descriptor) { l.Size = 1 << 62 })
	s.image(t, "notgzip", func(_ *string, l *oci.Descriptor) { *l = s.blob(oci.MediaTypeLayerGzip, []byte("\x1f\x8b\x08rubbish")) })
	s.image(t, "foreign", func(_ *string, l *oci.Descriptor) { l.MediaType = "application/vnd.example.layer" })
	s.image(t, "history", func(config *string, _ *oci.Descriptor) {
		*config = strings.Replace(*config, `"unknown"`, `"history":[{},{}],"unknown"`, 1)
	})
	image := s.image(t, "good", nil)
	s.manifest("lost", oci.MediaTypeIndex, `{"schemaVersion":2,"manifests":[`+descriptorText(image)+`]}`)
	chart := s.blob("application/vnd.cncf.helm.config.v1+json", []byte("{}"))
	s.manifest("artifact", oci.MediaTypeManifest, manifestOf(chart, s.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", []byte("x"))))
	s.manifest("schema1", "application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`)
	s.manifest("both", oci.MediaTypeManifest, `{"schemaVersion":2,"manifests":[],"layers":[]}`)
	for tag, want := range map[string]string{
		"diffid": string(other), "digest": string(other), "short": "bytes, the manifest says", "long": "bytes, the manifest says", "absent": "404 Not Found",
		"huge": "bytes, the manifest says 4611686018427387904", "notgzip": "gzip", "foreign": `unknown media type "application/vnd.example.layer"`,
		"history": "history", "lost": "there is no image for linux/", "schema1": "schema version 1, which is not supported", "both": "both a manifest and an index",
		"artifact": `it is an artifact of type "application/vnd.cncf.helm.config.v1+json" and no image: it has no root filesystem to run`,
		"nothing":  "404 Not Found",
	} {
		r := p.try("pull", "-q", s.name(tag))
		problem := notOneLine(r.stderr)
		if r.code != 1 || problem != "" || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %s; %q, want %q", tag, r.code, problem, r.stderr, want)
		}
		if left := halfDone(p.root); len(left) > 0 {
			t.Errorf("%s: left %q", tag, left)
		}
	}
	if r := p.try("run", "--rm", s.name("artifact"), "true"); r.code != 125 || !strings.Contains(r.stderr, "it is an artifact of type") {
		t.Errorf("run of an artifact: %+v", r)
	}
	p.must("pull", "-q", s.name("good"))
	if got := p.must("run", "--rm", "--pull", "never", s.name("good"), "cat", "/etc/hostname"); got != "image" {
		t.Errorf("got %q", got)
	}
	p.works()
}

// TestPullAtOnce has two processes pull the same image: its layer is fetched
// once.
func TestPullAtOnce(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p, s := newPlace(t), newShelf(t)
	var layer oci.Descriptor
	s.image(t, "1", func(_ *string, l *oci.Descriptor) { layer = *l })
	path := "/v2/a/blobs/" + string(layer.Digest)
	both := make(chan struct{})
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		n := s.asked["/v2/a/manifests/1"]
		if r.URL.Path == "/v2/a/manifests/1" && n == 2 {
			close(both)
		}
		s.mu.Unlock()
		if r.URL.Path == path {
			<-both
		}
		return false
	}
	one, two := p.start("pull", s.name("1")), p.start("pull", s.name("1"))
	for _, run := range []*program{one, two} {
		if code, ok := run.wait(); !ok || code != 0 {
			t.Errorf("exit code %d: %s%s", code, run.stdout, run.stderr)
		}
	}
	if n := s.asked[path]; n != 1 {
		t.Errorf("the layer was fetched %d times", n)
	}
	p.must("run", "--rm", "--pull", "never", s.name("1"), "true")
}

// TestPullInterrupted interrupts a pull: nothing stays, and the next one works.
func TestPullInterrupted(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p, s := newPlace(t), newShelf(t)
	var layer oci.Descriptor
	s.image(t, "1", func(_ *string, l *oci.Descriptor) { layer = *l })
	begun := make(chan struct{})
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		first := s.asked[r.URL.Path] == 1
		s.mu.Unlock()
		if !first || !strings.HasSuffix(r.URL.Path, string(layer.Digest)) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(layer.Size))
		w.Write(s.docs[r.URL.Path][:layer.Size/2])
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
		return true
	}
	run := p.start("pull", s.name("1"))
	<-begun
	run.cmd.Process.Signal(unix.SIGTERM)
	code, ok := run.wait()
	if !ok || code != 130 || notOneLine(run.stderr.String()) != "" {
		t.Errorf("exit code %d: %q", code, run.stderr)
	}
	if left := halfDone(p.root); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	p.must("pull", "-q", s.name("1"))
	p.must("run", "--rm", "--pull", "never", s.name("1"), "true")
}

// TestPullIndex pulls what an index lists, by platform and by digest.
func TestPullIndex(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p, s := newPlace(t), newShelf(t)
	image := s.image(t, "", nil)
	arm := s.image(t, "arm", func(config *string, _ *oci.Descriptor) {
		*config = strings.Replace(*config, oci.HostPlatform().Architecture, "arm", 1)
	})
	withPlatform := func(d oci.Descriptor, platform string) string {
		os, rest, _ := strings.Cut(platform, "/")
		architecture, variant, _ := strings.Cut(rest, "/")
		return strings.TrimSuffix(descriptorText(d), "}") + fmt.Sprintf(`,"platform":{"os":%q,"architecture":%q,"variant":%q}}`, os, architecture, variant)
	}
	index := s.manifest("multi", oci.MediaTypeIndex, `{"schemaVersion":2,"mediaType":"`+oci.MediaTypeIndex+`","manifests":[`+
		withPlatform(arm, "linux/arm/v7")+","+withPlatform(image, oci.HostPlatform().String())+`]}`)
	if got := p.must("pull", s.name("multi")); !strings.Contains(got, "Digest: "+string(index.Digest)+"\n") {
		t.Errorf("got %q", got)
	}
	if got := p.must("inspect", s.name("multi")); !strings.Contains(got, string(image.Digest)) {
		t.Errorf("the manifest is not %s: %s", image.Digest, got)
	}
	p.must("rmi", s.name("multi"))

	// By the digest of the index: the name stays, and gc leaves the image.
	byDigest := strings.TrimSuffix(s.name(""), ":") + "@" + string(index.Digest)
	if got := p.must("pull", "-q", byDigest); got != byDigest {
		t.Errorf("got %q", got)
	}
	p.must("gc")
	asked := s.asked["/v2/a/manifests/"+string(index.Digest)]
	p.must("run", "--rm", byDigest, "true")
	if n := s.asked["/v2/a/manifests/"+string(index.Digest)]; n != asked {
		t.Error("run has asked the registry for what is here")
	}
	p.must("rmi", byDigest)

	p.must("pull", "-q", "--platform", "linux/arm/v7", s.name("multi"))
	if got := p.must("inspect", s.name("multi")); !strings.Contains(got, string(arm.Digest)) {
		t.Errorf("the manifest is not %s: %s", arm.Digest, got)
	}
	if r := p.try("pull", "--platform", "linux/arm/v6", s.name("multi")); r.code != 1 || !strings.Contains(r.stderr, "there is no image for linux/arm/v6, only for linux/arm/v7, linux/") {
		t.Errorf("got %+v", r)
	}
}
