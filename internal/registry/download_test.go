// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"strata/internal/oci"
)

// content is a few megabytes that are not all the same.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func read(ctx context.Context, r *Repository, d oci.Descriptor) ([]byte, error) {
	blob, err := r.Layer(ctx, d)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return io.ReadAll(blob)
}

// hijack breaks a connection off after an answer's beginning.
func hijack(w http.ResponseWriter, head string, body []byte) {
	c, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	buffer.WriteString(head + "\r\n\r\n")
	buffer.Write(body)
	buffer.Flush()
}

// from is where a request for a range begins.
func from(r *http.Request) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
	return n
}

func TestLayer(t *testing.T) {
	data := content(3 << 20)
	whole := func(n int) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d", n) }
	part := func(first, total int) string {
		return fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\nContent-Range: bytes %d-%d/%d", total-first, first, total-1, total)
	}
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
	asChunk := func(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(b), b) }
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, n int) bool // the n-th request for the blob
		want   string                                                   // "" for the blob
		most   int                                                      // requests
	}{
		"whole": {func(http.ResponseWriter, *http.Request, int) bool { return false }, "", 1},
		"resumed with ranges": {func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n < 3 {
				at := from(r)
				head := part(at, len(data))
				if n == 0 {
					head = whole(len(data))
				}
				hijack(w, head, data[at:at+(1<<20)-n*1000])
				return true
			}
			return false
		}, "", 4},
		"resumed without ranges": {func(w http.ResponseWriter, r *http.Request, n int) bool {
			r.Header.Del("Range")
			if n < 2 {
				hijack(w, whole(len(data)), data[:(n+1)<<20])
				return true
			}
			return false
		}, "", 3},
		"breaks for ever": {func(w http.ResponseWriter, r *http.Request, n int) bool {
			at := from(r)
			head := part(at, len(data))
			if n == 0 {
				head = whole(len(data))
			}
			hijack(w, head, data[at:at+10])
			return true
		}, "after 50 of 3145728 bytes: ", 5},
		"shorter, says so": {func(w http.ResponseWriter, _ *http.Request, _ int) bool { hijack(w, whole(5), data[:5]); return true }, "5 bytes, the manifest says 3145728", 1},
		"longer, says so": {func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			hijack(w, whole(len(data)+1), append(data, 0))
			return true
		}, "3145729 bytes, the manifest says 3145728", 1},
		"longer, says nothing": {func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			hijack(w, chunked, asChunk(append(data, 0)))
			return true
		}, "more than the 3145728 bytes that the manifest says", 1},
		"shorter, says nothing": {func(w http.ResponseWriter, r *http.Request, n int) bool {
			r.Header.Del("Range")
			hijack(w, chunked, asChunk(data[:100]))
			return true
		}, "after 100 of 3145728 bytes", 5},
		"shorter, knows ranges": {func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 0 {
				w.WriteHeader(416)
			} else {
				hijack(w, chunked, asChunk(data[:100]))
			}
			return true
		}, "it has no more than 100 bytes", 2},
		"another range": {func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 0 {
				hijack(w, part(7, len(data)), data[7:])
			} else {
				hijack(w, whole(len(data)), data[:100])
			}
			return true
		}, "asked for the bytes from 100 on", 2},
		"a range of another total": {func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 0 {
				hijack(w, part(100, len(data)+5), data[100:])
			} else {
				hijack(w, whole(len(data)), data[:100])
			}
			return true
		}, "3145733 bytes, the manifest says", 2},
		"gone meanwhile": {func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 0 {
				refuse(w, 404, "BLOB_UNKNOWN", "blob unknown")
			} else {
				hijack(w, whole(len(data)), data[:100])
			}
			return true
		}, "404 Not Found: blob unknown", 2},
		"503 at first": {func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n < 2 {
				w.WriteHeader(503)
				return true
			}
			return false
		}, "", 3},
		"503 for ever": {func(w http.ResponseWriter, _ *http.Request, n int) bool { w.WriteHeader(503); return true }, "503 Service Unavailable", 5},
		"403":          {func(w http.ResponseWriter, _ *http.Request, n int) bool { refuse(w, 403, "DENIED", "no"); return true }, "403 Forbidden: no; is the name right, and are you logged in (strata login 127.0.0.1:", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			d := f.addBlob(data)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				return strings.Contains(r.URL.Path, "/blobs/") && c.answer(w, r, f.requests("GET /v2/a/blobs/")-1)
			}
			client, _ := newTestClient(t, Options{})
			got, err := read(t.Context(), f.repository(t, client, "a"), d)
			if c.want != "" {
				wantError(t, err, c.want, string(d.Digest))
			} else if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			if n := f.requests("GET /v2/a/blobs/"); n > c.most {
				t.Errorf("%d requests, want at most %d", n, c.most)
			}
		})
	}
}

// A server that goes silent is left, and the rest is got from where it did.
func TestLayerStalls(t *testing.T) {
	data := content(1 << 20)
	f := newFake(t)
	d := f.addBlob(data)
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if n := f.requests("GET /v2/a/blobs/"); !strings.Contains(r.URL.Path, "/blobs/") || n > 2 {
			return false
		} else if n == 1 { // in the middle
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data[:500_000])
			w.(http.Flusher).Flush()
		} // and then before the answer
		select {
		case <-silent:
		case <-r.Context().Done():
		}
		return true
	}
	client, _ := newTestClient(t, Options{Stall: 200 * time.Millisecond})
	got, err := read(t.Context(), f.repository(t, client, "a"), d)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// A trickle is as good as silence.
func TestTrickle(t *testing.T) {
	ctx, w := newWatch(t.Context(), 5*time.Millisecond)
	trickle := &incoming{ReadCloser: io.NopCloser(neverEnding{}), ctx: ctx, w: w}
	defer trickle.Close()
	for {
		if _, err := trickle.Read(make([]byte, 0)); err != nil {
			if err != errStalled {
				t.Errorf("got %v", err)
			}
			return
		}
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestLayerCancelled(t *testing.T) {
	f := newFake(t)
	d := f.addBlob(content(1 << 20))
	begun := make(chan struct{})
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		w.Header().Set("Content-Length", strconv.FormatInt(d.Size, 10))
		w.Write(make([]byte, 100))
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
		return true
	}
	client, w := newTestClient(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := read(ctx, f.repository(t, client, "a"), d); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	if len(w.pauses) > 0 {
		t.Errorf("it waited %v", w.pauses)
	}
}

// What a registry does not have may be elsewhere, where no credentials go.
func TestLayerElsewhere(t *testing.T) {
	f := newFake(t)
	d := oci.Descriptor{Digest: oci.FromBytes(nil), Size: 1, URLs: []string{"http://127.0.0.1/x", "ftp://127.0.0.1/", "https://user@127.0.0.1/"}}
	client, _ := newTestClient(t, Options{})
	_, err := read(t.Context(), f.repository(t, client, "a"), d)
	wantError(t, err, "404 Not Found: blob unknown to registry")
}

func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header string
		least  time.Duration
		want   string
	}{
		"seconds":      {429, "7", 7 * time.Second, ""},
		"a date":       {503, time.Now().Add(30 * time.Second).UTC().Format(http.TimeFormat), 20 * time.Second, ""},
		"a past date":  {429, "Mon, 02 Jan 2006 15:04:05 GMT", 0, ""},
		"nonsense":     {429, "soon\x01", 0, ""},
		"too long":     {429, "3600", 0, "it asks to come back in 1h0m0s"},
		"no more than": {429, "99999999999999999999", 0, ""},
		"a failure":    {501, "1", 0, "501 Not Implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") || f.requests("GET /v2/a/manifests/") > 1 {
					return false
				}
				w.Header()["Retry-After"] = []string{c.header}
				w.WriteHeader(c.status)
				return true
			}
			client, w := newTestClient(t, Options{})
			_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
			if c.want != "" {
				wantError(t, err, c.want)
				return
			}
			if err != nil || len(w.pauses) != 1 || w.pauses[0] < c.least {
				t.Errorf("got %v, %v", err, w.pauses)
			}
		})
	}
}
