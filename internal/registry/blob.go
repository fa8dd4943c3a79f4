// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"strata/internal/oci"
)

// enough is how many bytes of progress make up for a broken connection: one
// that breaks sooner, time and again, is given up.
const enough = 1 << 20

// Layer opens a blob as a stream of exactly d.Size bytes: fewer or more are an
// error. Whether they have the digest is for the caller to say, who has to
// compute it anyway. A download that breaks is resumed where it broke. The
// stream ends with ctx; the caller closes it.
func (r *Repository) Layer(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	var b *blob
	err := r.read(ctx, true, func(e *endpoint) (err error) {
		b, err = e.open(ctx, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return b, nil
}

// A blob is one that is being downloaded.
type blob struct {
	ctx      context.Context // of the stream's whole life
	endpoint *endpoint
	d        oci.Descriptor
	url      *url.URL // where it is, if not at the endpoint
	offset   int64    // of the next byte that is read
	failures int      // since there was enough progress
	progress int64    // bytes since the last failure
	err      error    // what every further read returns

	mu     sync.Mutex // between Read and Close
	body   io.ReadCloser
	closed bool
}

// open begins a download. What the registry does not have may be at an address
// that the descriptor names (image-spec, descriptor.md, "urls").
func (e *endpoint) open(ctx context.Context, d oci.Descriptor) (*blob, error) {
	b := &blob{ctx: ctx, endpoint: e, d: d}
	err := b.request()
	if err == nil || !IsNotFound(err) {
		return b, err
	}
	for _, address := range d.URLs {
		u, invalid := url.Parse(address)
		if invalid != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			continue
		}
		b.url = u
		if b.request() == nil {
			return b, nil
		}
	}
	return nil, err
}

// request asks for the bytes from offset on.
func (b *blob) request() error {
	r := request{
		method: http.MethodGet, path: path(b.endpoint.name, "blobs", string(b.d.Digest)), url: b.url,
		scopes: []string{pullScope(b.endpoint.name)}, expect: []int{http.StatusOK},
	}
	if b.offset > 0 {
		r.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", b.offset)}}
		r.expect = append(r.expect, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable)
	}
	resp, err := b.endpoint.send(b.ctx, r)
	if err != nil {
		return err
	}
	if err := b.accept(resp); err != nil {
		resp.Body.Close()
		return fmt.Errorf("%s: %w", b.endpoint.host.name, err)
	}
	return b.replace(resp.Body)
}

// replace reads on from another answer, unless the stream has been closed.
func (b *blob) replace(body io.ReadCloser) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		body.Close()
		return os.ErrClosed
	}
	b.body = body
	return nil
}

// accept checks that an answer is what was asked for. A server that knows no
// ranges sends everything again, and the beginning is passed over.
func (b *blob) accept(resp *http.Response) error {
	length, skip := b.d.Size, b.offset
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		return &lengthError{fmt.Sprintf("it has no more than %d bytes, the manifest says %d", b.offset, b.d.Size)}
	case http.StatusPartialContent:
		if err := b.checkRange(resp.Header.Get("Content-Range")); err != nil {
			return err
		}
		length, skip = b.d.Size-b.offset, 0
	}
	if resp.ContentLength >= 0 && resp.ContentLength != length {
		return &lengthError{fmt.Sprintf("%d bytes, the manifest says %d", resp.ContentLength+b.d.Size-length, b.d.Size)}
	}
	_, err := io.CopyN(io.Discard, resp.Body, skip)
	return err
}

// checkRange reads "bytes 100-199/200".
func (b *blob) checkRange(header string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(header, "bytes "), "-")
	if start, err := strconv.ParseInt(first, 10, 64); err != nil || start != b.offset {
		return &lengthError{fmt.Sprintf("asked for the bytes from %d on, the registry sends %q", b.offset, printable(header))}
	}
	_, total, _ := strings.Cut(header, "/")
	if total != "*" && total != strconv.FormatInt(b.d.Size, 10) {
		return &lengthError{fmt.Sprintf("%s bytes, the manifest says %d", printable(total), b.d.Size)}
	}
	return nil
}

// A lengthError is a blob of another size than its descriptor says.
type lengthError struct{ text string }

func (e *lengthError) Error() string { return e.text }

// Read reads on, over broken connections.
func (b *blob) Read(p []byte) (int, error) {
	for b.err == nil {
		n, err := b.body.Read(p)
		b.offset += int64(n)
		b.progress += int64(n)
		switch {
		case b.offset > b.d.Size:
			b.fail(&lengthError{fmt.Sprintf("more than the %d bytes that the manifest says", b.d.Size)})
		case err != nil && b.offset == b.d.Size:
			b.err = io.EOF // all of it is here, however the connection ended
			return n, nil
		case err != nil:
			b.resume(err)
			if n > 0 {
				return n, nil
			}
		case n > 0 || len(p) == 0:
			return n, nil
		}
	}
	return 0, b.err
}

func (b *blob) fail(err error) {
	b.err = fmt.Errorf("blob %s: after %d of %d bytes: %w", b.d.Digest, b.offset, b.d.Size, err)
}

// resume opens the rest of the blob, after some time. If that cannot be done,
// err and why are what the reader gets.
func (b *blob) resume(err error) {
	b.body.Close()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	err = b.endpoint.host.explained(err)
	if b.progress >= enough {
		b.failures = 0
	}
	b.progress = 0
	for b.ctx.Err() == nil {
		if b.failures++; b.hopeless(err) {
			b.fail(err)
			return
		}
		if b.endpoint.host.client.backOff(b.ctx, b.failures, 0) != nil {
			break
		}
		if err = b.request(); err == nil {
			return
		}
	}
	b.fail(b.ctx.Err())
}

// hopeless reports whether it makes no sense to try again.
func (b *blob) hopeless(err error) bool {
	return b.failures >= b.endpoint.host.client.options.Attempts || errors.As(err, new(*lengthError)) ||
		errors.Is(err, os.ErrClosed) || IsNotFound(err) || IsDenied(err)
}

// Close breaks the download off, if it is not at its end. It may be called while
// a Read waits.
func (b *blob) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.body.Close()
}
