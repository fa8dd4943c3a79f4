// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"strata/internal/oci"
)

// A fake is a registry of the tests' own: it does as the specification says,
// but for what a test puts before it.
type fake struct {
	*httptest.Server
	// before is asked first; if it answers it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu        sync.Mutex
	blobs     map[oci.Digest][]byte // guarded by mu, as what follows
	manifests map[string]Document   // by "repository:tag" and "repository@digest"
	uploads   map[string][]byte
	log       []string // "GET /v2/…"
}

func newFake(t *testing.T) *fake {
	f := &fake{blobs: map[oci.Digest][]byte{}, manifests: map[string]Document{}, uploads: map[string][]byte{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

// host is the registry's name.
func (f *fake) host() string { return strings.TrimPrefix(f.URL, "http://") }

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if f.before != nil && f.before(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	switch {
	case path == "":
	case strings.Contains(path, "/manifests/"):
		name, ref, _ := strings.Cut(path, "/manifests/")
		f.serveManifest(w, r, name, ref)
	case strings.Contains(path, "/blobs/uploads/"):
		f.serveUpload(w, r, path)
	case strings.Contains(path, "/blobs/"):
		f.serveBlob(w, r, path[strings.LastIndexByte(path, '/')+1:])
	default:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func manifestKey(name, ref string) string {
	if strings.HasPrefix(ref, "sha256:") {
		return name + "@" + ref
	}
	return name + ":" + ref
}

func (f *fake) serveManifest(w http.ResponseWriter, r *http.Request, name, ref string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPut {
		data, _ := io.ReadAll(r.Body)
		d := Document{r.Header.Get("Content-Type"), oci.FromBytes(data), data}
		f.manifests[manifestKey(name, ref)], f.manifests[manifestKey(name, string(d.Digest))] = d, d
		w.Header().Set("Docker-Content-Digest", string(d.Digest))
		w.WriteHeader(http.StatusCreated)
		return
	}
	d, ok := f.manifests[manifestKey(name, ref)]
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	}
	w.Header().Set("Content-Type", d.MediaType)
	w.Header().Set("Docker-Content-Digest", string(d.Digest))
	w.Write(d.Data)
}

func (f *fake) serveBlob(w http.ResponseWriter, r *http.Request, digest string) {
	f.mu.Lock()
	data, ok := f.blobs[oci.Digest(digest)]
	f.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data))) // knows ranges
}

func (f *fake) serveUpload(w http.ResponseWriter, r *http.Request, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := path[strings.LastIndexByte(path, '/')+1:]
	data, _ := io.ReadAll(r.Body)
	switch r.Method {
	case http.MethodPost:
		if digest := r.FormValue("mount"); f.blobs[oci.Digest(digest)] != nil && r.FormValue("from") != "" {
			w.WriteHeader(http.StatusCreated)
			return
		}
		id = strconv.Itoa(len(f.uploads) + 1)
		f.uploads[id] = nil
		f.accept(w, path+id, 0)
	case http.MethodGet:
		f.accept(w, path, len(f.uploads[id]))
	case http.MethodPatch:
		if start, _, _ := strings.Cut(r.Header.Get("Content-Range"), "-"); start != strconv.Itoa(len(f.uploads[id])) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		f.uploads[id] = append(f.uploads[id], data...)
		f.accept(w, path, len(f.uploads[id]))
	case http.MethodPut:
		whole := append(f.uploads[id], data...)
		if digest := oci.FromBytes(whole); r.FormValue("digest") == string(digest) {
			f.blobs[digest] = whole
			w.WriteHeader(http.StatusCreated)
			return
		}
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")
	}
}

func (f *fake) accept(w http.ResponseWriter, location string, have int) {
	w.Header().Set("Location", "/v2/"+location+"?_state=a%3Db")
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(have-1, 0)))
	w.WriteHeader(http.StatusAccepted)
}

// addBlob puts a blob in.
func (f *fake) addBlob(data []byte) oci.Descriptor {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: oci.FromBytes(data), Size: int64(len(data))}
	f.blobs[d.Digest] = data
	return d
}

// addManifest puts a document in, as repository:tag and by its digest.
func (f *fake) addManifest(name, tag, mediaType, data string) oci.Descriptor {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := Document{mediaType, oci.FromBytes([]byte(data)), []byte(data)}
	f.manifests[manifestKey(name, tag)], f.manifests[manifestKey(name, string(d.Digest))] = d, d
	return oci.Descriptor{MediaType: mediaType, Digest: d.Digest, Size: int64(len(data))}
}

// requests are those with the prefix.
func (f *fake) requests(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.log {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// waits counts the pauses of a client that never really waits.
type waits struct {
	mu     sync.Mutex
	pauses []time.Duration // guarded by mu
}

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pauses = append(w.pauses, d)
	return ctx.Err()
}

// newTestClient is one with nothing of this machine's configuration.
func newTestClient(t *testing.T, o Options) (*Client, *waits) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &waits{}
	c.wait = w.wait
	t.Cleanup(c.Close)
	return c, w
}

// repository is one of a fake's.
func (f *fake) repository(t *testing.T, c *Client, name string) *Repository {
	t.Helper()
	r, err := c.Repository(f.reference(name))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fake) reference(name string) oci.Reference {
	ref, err := oci.ParseReference(f.host() + "/" + name)
	if err != nil {
		panic(err)
	}
	return ref
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want an error with %q", err, text)
		}
	}
}
