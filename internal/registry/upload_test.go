// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"strata/internal/oci"
)

func contentOf(data []byte, known bool) Content {
	c := Content{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
	if known {
		c.Digest, c.Size = oci.FromBytes(data), int64(len(data))
	}
	return c
}

func TestUpload(t *testing.T) {
	data := content(chunkSize + 1000)
	var broken bool
	once := func(w http.ResponseWriter, status int) bool {
		if broken {
			return false
		}
		broken = true
		w.WriteHeader(status)
		return true
	}
	for name, c := range map[string]struct {
		known  bool
		before func(f *fake, w http.ResponseWriter, r *http.Request) bool
		from   string
		there  bool
		log    string // of methods
	}{
		"whole":     {known: true, log: "HEAD POST PUT"},
		"in chunks": {log: "POST PATCH PATCH PUT"},
		"there":     {known: true, there: true, log: "HEAD"},
		"mounted": {known: true, there: true, from: "b", log: "HEAD POST", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodHead && once(w, 404)
		}},
		"not there": {known: true, from: "b", log: "HEAD POST PUT"},
		"no mounts": {known: true, from: "b", log: "HEAD POST POST PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.FormValue("from") != "" && once(w, 405)
		}},
		"too large": {known: true, log: "HEAD POST PUT POST PATCH PATCH PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && once(w, 413)
		}},
		"PUT breaks": {known: true, log: "HEAD POST PUT POST PATCH PATCH PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && once(w, 502)
		}},
		"a chunk is lost": {log: "POST PATCH GET PATCH PATCH PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPatch && once(w, 503)
		}},
		"half of a chunk": {log: "POST PATCH GET PATCH PATCH PUT", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || broken {
				return false
			}
			f.uploads["1"] = data[:5000]
			return once(w, 500)
		}},
		"the answer is lost": {log: "POST PATCH GET PATCH PUT", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || broken {
				return false
			}
			f.uploads["1"] = data[:chunkSize]
			return once(w, 500)
		}},
		"the session is lost": {log: "POST PATCH POST PATCH PATCH PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPatch && once(w, 404)
		}},
		"a larger chunk": {log: "POST PATCH PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("OCI-Chunk-Min-Length", "10000000")
			return false
		}},
		"a huge chunk": {log: "POST PUT", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("OCI-Chunk-Min-Length", "1000000000000")
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			broken = false
			f := newFake(t)
			if c.there {
				f.addBlob(data)
			}
			if c.before != nil {
				f.before = func(w http.ResponseWriter, r *http.Request) bool { return c.before(f, w, r) }
			}
			client, _ := newTestClient(t, Options{})
			in := contentOf(data, c.known)
			in.From = c.from
			var last int64
			in.Progress = func(n int64) { last = n }
			done, err := f.repository(t, client, "a").Upload(t.Context(), in)
			if err != nil || done.Digest != oci.FromBytes(data) || !bytes.Equal(f.blobs[done.Digest], data) {
				t.Errorf("got %+v, %v", done, err)
			}
			if sent := !done.Existed && !done.Mounted; sent && (last != int64(len(data)) || done.Size != last) {
				t.Errorf("progress ended at %d and the size is %d, want %d", last, done.Size, len(data))
			}
			if got := f.methods("/blobs/"); got != c.log {
				t.Errorf("requests %s, want %s", got, c.log)
			}
		})
	}
}

// methods are those of the requests for paths with something in them.
func (f *fake) methods(part string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var methods []string
	for _, r := range f.log {
		if method, path, _ := strings.Cut(r, " "); strings.Contains(path, part) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, " ")
}

func TestUploadFails(t *testing.T) {
	data := []byte("layer")
	client, _ := newTestClient(t, Options{})
	for name, c := range map[string]struct {
		before func(w http.ResponseWriter, r *http.Request) bool
		change func(*Content)
		want   string
	}{
		"what is sent is something else": {nil, func(c *Content) { c.Digest = someDigest }, "400 Bad Request: provided digest did not match"},
		"it cannot be read": {nil, func(c *Content) {
			c.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("disk error") }
		}, "disk error"},
		"it cannot be read on": {nil, func(c *Content) {
			c.Open = func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("la"), failing{})), nil
			}
		}, "disk error"},
		"it cannot be read in chunks": {nil, func(c *Content) {
			c.Digest = ""
			c.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(failing{}), nil }
		}, "disk error"},
		"denied": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				refuse(w, 403, "DENIED", "requested access to the resource is denied")
			}
			return r.Method == http.MethodPost
		}, nil, "403 Forbidden: requested access to the resource is denied"},
		"nowhere to go": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPost
		}, nil, "the registry does not say where to upload to"},
		"elsewhere in clear": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.Header().Set("Location", "http://registry.example/upload")
				w.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPost
		}, nil, "which is not encrypted"},
		"never works": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut || r.Method == http.MethodPatch {
				w.WriteHeader(502)
				return true
			}
			return false
		}, nil, "502 Bad Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.before = c.before
			in := contentOf(data, true)
			if c.change != nil {
				c.change(&in)
			}
			_, err := f.repository(t, client, "a").Upload(t.Context(), in)
			wantError(t, err, c.want, "upload blob")
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk error") }
