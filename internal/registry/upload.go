// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"strata/internal/oci"
)

const (
	chunkSize = 8 << 20  // bytes sent at once where a blob's digest is not known before
	maxChunk  = 32 << 20 // more than that is not kept in memory, whatever a registry wants
)

// Content is a blob to be uploaded.
type Content struct {
	Digest oci.Digest // "" if only reading it will tell
	Size   int64      // bytes; counts only with a digest
	// Open opens the blob at its beginning. It is called again when an upload has
	// to be begun again; then it must give the same bytes.
	Open func(context.Context) (io.ReadCloser, error)
	// From is a repository of the same registry that has the blob, "" for none.
	From string
	// Progress, when not nil, is called with the bytes that have been sent.
	Progress func(done int64)
}

// Uploaded says what became of a Content.
type Uploaded struct {
	Digest  oci.Digest
	Size    int64 // bytes; 0 if it was there
	Existed bool  // it was there
	Mounted bool  // it has been taken from another repository
}

// Upload sends a blob, unless the registry has it.
func (r *Repository) Upload(ctx context.Context, c Content) (Uploaded, error) {
	done, err := r.own().upload(ctx, c)
	if err != nil {
		return done, fmt.Errorf("upload blob %s: %w", c.Digest, err)
	}
	return done, nil
}

// Has reports whether the repository has a blob.
func (r *Repository) Has(ctx context.Context, digest oci.Digest) (bool, error) {
	has, err := r.own().has(ctx, digest)
	if err != nil {
		return false, fmt.Errorf("blob %s: %w", digest, err)
	}
	return has, nil
}

func (e *endpoint) upload(ctx context.Context, c Content) (done Uploaded, err error) {
	if c.Progress == nil {
		c.Progress = func(int64) {}
	}
	done.Digest = c.Digest
	if c.Digest != "" {
		if done.Existed, err = e.has(ctx, c.Digest); done.Existed || err != nil {
			return done, err
		}
	}
	s, err := e.begin(ctx, c)
	if err != nil || s.mounted {
		done.Mounted = s.mounted
		return done, err
	}
	for attempt := 1; ; attempt++ {
		if c.Digest != "" && attempt == 1 || s.minimum > maxChunk {
			done.Digest, done.Size, err = s.whole(ctx, c)
		} else { // what breaks off then costs a chunk and not everything
			done.Digest, done.Size, err = s.chunks(ctx, c)
		}
		pause, again := worthwhile(err)
		if !again && !lost(err) || attempt >= e.host.client.options.Attempts || ctx.Err() != nil {
			return done, err
		}
		if err := e.host.client.backOff(ctx, attempt, pause); err != nil {
			return done, err
		}
		c.From = ""
		if s, err = e.begin(ctx, c); err != nil {
			return done, err
		}
	}
}

// lost reports whether a registry has refused what it may take in a new session,
// or in smaller pieces.
func lost(err error) bool {
	return IsNotFound(err) || hasStatus(err, http.StatusRequestEntityTooLarge) || hasStatus(err, http.StatusRequestedRangeNotSatisfiable)
}

func (e *endpoint) has(ctx context.Context, digest oci.Digest) (bool, error) {
	resp, err := e.send(ctx, request{
		method: http.MethodHead, path: path(e.name, "blobs", string(digest)),
		scopes: []string{pushScope(e.name)}, expect: []int{http.StatusOK, http.StatusNotFound},
	})
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, resp.Body.Close()
}

// A session is an upload that has been begun.
type session struct {
	endpoint *endpoint
	location *url.URL
	minimum  int64 // bytes of a chunk that is not the last
	mounted  bool  // and so over
}

// begin begins an upload. It asks first for the blob to be mounted from another
// repository, if there is one; a registry that will not do that begins an
// upload instead, or we ask again.
func (e *endpoint) begin(ctx context.Context, c Content) (*session, error) {
	r := request{
		method: http.MethodPost, path: path(e.name, "blobs", "uploads", ""),
		scopes: []string{pushScope(e.name)}, expect: []int{http.StatusAccepted},
	}
	if c.From != "" && c.Digest != "" {
		mount := r
		mount.query = url.Values{"mount": {string(c.Digest)}, "from": {c.From}}
		mount.scopes = append([]string{pullScope(c.From)}, r.scopes...)
		mount.expect = append([]int{http.StatusCreated}, r.expect...)
		mount.once = true
		if s, err := e.start(ctx, mount); err == nil || ctx.Err() != nil {
			return s, err
		}
	}
	return e.start(ctx, r)
}

func (e *endpoint) start(ctx context.Context, r request) (*session, error) {
	resp, err := e.send(ctx, r)
	if err != nil {
		return &session{}, err
	}
	defer resp.Body.Close()
	s := &session{endpoint: e, location: resp.Request.URL, mounted: resp.StatusCode == http.StatusCreated}
	s.minimum, _ = strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64)
	if s.mounted {
		return s, nil
	}
	if resp.Header.Get("Location") == "" {
		return s, fmt.Errorf("%s: the registry does not say where to upload to", e.host.name)
	}
	return s, s.follow(resp)
}

// follow goes on where an answer says.
func (s *session) follow(resp *http.Response) (err error) {
	if location := resp.Header.Get("Location"); location != "" {
		s.location, err = s.endpoint.next(resp.Request.URL, location)
		if err != nil {
			err = s.endpoint.host.explained(err)
		}
	}
	return err
}

// request is one to the session's address.
func (s *session) request(method string, body func() (io.ReadCloser, error), length int64) request {
	u := *s.location
	return request{
		method: method, url: &u, body: body, length: length, once: true,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		scopes: []string{pushScope(s.endpoint.name)},
	}
}

// finish is the request that ends the session. What stands in the address
// already is the registry's, and stays as it is.
func (s *session) finish(digest oci.Digest, body func() (io.ReadCloser, error), length int64) request {
	r := s.request(http.MethodPut, body, length)
	if r.url.RawQuery != "" {
		r.url.RawQuery += "&"
	}
	r.url.RawQuery += "digest=" + url.QueryEscape(string(digest))
	r.expect = []int{http.StatusCreated, http.StatusNoContent}
	return r
}

// whole uploads everything with one request.
func (s *session) whole(ctx context.Context, c Content) (oci.Digest, int64, error) {
	if c.Digest == "" {
		var err error
		if c.Digest, c.Size, err = measure(ctx, c); err != nil {
			return "", 0, &bodyError{err}
		}
	}
	open := func() (io.ReadCloser, error) {
		blob, err := c.Open(ctx)
		return &counter{ReadCloser: blob, report: c.Progress}, err
	}
	resp, err := s.endpoint.send(ctx, s.finish(c.Digest, open, c.Size))
	if err != nil {
		return c.Digest, 0, err
	}
	return c.Digest, c.Size, resp.Body.Close()
}

// measure reads a blob to learn its digest and size.
func measure(ctx context.Context, c Content) (oci.Digest, int64, error) {
	blob, err := c.Open(ctx)
	if err != nil {
		return "", 0, err
	}
	defer blob.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, blob)
	return oci.FromSum(sum.Sum(nil)), n, err
}

// chunks uploads a blob piece by piece, and learns its digest meanwhile.
func (s *session) chunks(ctx context.Context, c Content) (oci.Digest, int64, error) {
	blob, err := c.Open(ctx)
	if err != nil {
		return "", 0, &bodyError{err}
	}
	defer blob.Close()
	sum := sha256.New()
	size, err := s.sendChunks(ctx, blob, sum, c.Progress)
	if err != nil {
		return "", 0, err
	}
	digest := oci.FromSum(sum.Sum(nil))
	if c.Digest != "" && c.Digest != digest {
		return "", 0, &bodyError{fmt.Errorf("it has the digest %s now", digest)}
	}
	resp, err := s.endpoint.send(ctx, s.finish(digest, nil, 0))
	if err != nil {
		return "", 0, err
	}
	return digest, size, resp.Body.Close()
}

func (s *session) sendChunks(ctx context.Context, blob io.Reader, sum hash.Hash, progress func(int64)) (offset int64, err error) {
	chunk := make([]byte, max(chunkSize, s.minimum))
	for {
		n, err := io.ReadFull(blob, chunk)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return offset, &bodyError{err}
		}
		if n > 0 {
			sum.Write(chunk[:n])
			if err := s.send(ctx, chunk[:n], offset); err != nil {
				return offset, err
			}
			offset += int64(n)
			progress(offset)
		}
		if err != nil {
			return offset, nil
		}
	}
}

// send uploads one chunk, which begins at offset. After a failure it asks how
// much has arrived.
func (s *session) send(ctx context.Context, chunk []byte, offset int64) error {
	end := offset + int64(len(chunk))
	for attempt := 1; ; attempt++ {
		err := s.patch(ctx, chunk[int64(len(chunk))-(end-offset):], offset)
		pause, again := worthwhile(err)
		again = again || hasStatus(err, http.StatusRequestedRangeNotSatisfiable)
		if !again || attempt >= s.endpoint.host.client.options.Attempts || ctx.Err() != nil {
			return err
		}
		if err := s.endpoint.host.client.backOff(ctx, attempt, pause); err != nil {
			return err
		}
		arrived, unknown := s.arrived(ctx)
		if unknown != nil || arrived < offset || arrived > end {
			return err // the session is lost
		}
		if offset = arrived; offset == end {
			return nil
		}
	}
}

func (s *session) patch(ctx context.Context, chunk []byte, offset int64) error {
	r := s.request(http.MethodPatch, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(chunk)), nil }, int64(len(chunk)))
	r.header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+int64(len(chunk))-1))
	r.expect = []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated}
	resp, err := s.endpoint.send(ctx, r)
	if err != nil {
		return err
	}
	return errors.Join(s.follow(resp), resp.Body.Close())
}

// arrived asks how many bytes the registry has: "Range: 0-99" are a hundred.
func (s *session) arrived(ctx context.Context) (int64, error) {
	r := s.request(http.MethodGet, nil, 0)
	r.expect = []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}
	resp, err := s.endpoint.send(ctx, r)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(s.follow(resp), resp.Body.Close()); err != nil {
		return 0, err
	}
	_, last, _ := strings.Cut(resp.Header.Get("Range"), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if n > 0 { // docker-registry says 0-0 for none, too
		n++
	}
	return n, err
}

// counter reports the bytes that have been read.
type counter struct {
	io.ReadCloser
	n      int64
	report func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	c.report(c.n)
	return n, err
}
