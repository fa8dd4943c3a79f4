// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	maxRedirects = 5
	maxWait      = time.Minute // that a server's Retry-After may ask for
)

// A request is what one exchange asks for. Its body can be made anew, so that it
// can be made again.
type request struct {
	method string
	url    *url.URL // or, where it is nil, path and query at the endpoint's host
	path   string
	query  url.Values
	header http.Header
	body   func() (io.ReadCloser, error) // nil for none
	length int64                         // of body; -1 for unknown
	scopes []string                      // that a token must have
	expect []int                         // statuses that are no error
	secret bool                          // body is for nobody else than whom it is addressed to
	once   bool                          // the caller knows better how to go on after a failure
}

// send makes a request, again if its failure may pass, and returns an answer of
// a status that was expected; others are an *Error. The caller closes the body.
func (e *endpoint) send(ctx context.Context, r request) (*http.Response, error) {
	if r.url == nil {
		base, err := e.host.base(ctx)
		if err != nil {
			return nil, err
		}
		base.Path, base.RawQuery = r.path, r.query.Encode()
		r.url = base
	}
	for attempt := 1; ; attempt++ {
		resp, err := e.attempt(ctx, r)
		if err == nil {
			return resp, nil
		}
		pause, again := worthwhile(err)
		if r.once || !again || attempt >= e.host.client.options.Attempts || ctx.Err() != nil {
			return nil, err
		}
		if err := e.host.client.backOff(ctx, attempt, pause); err != nil {
			return nil, err
		}
	}
}

// backOff waits before another attempt, for at least the time that the server
// has asked for.
func (c *Client) backOff(ctx context.Context, attempt int, pause time.Duration) error {
	step := min(c.options.Backoff<<min(attempt-1, 10), maxWait)
	step += time.Duration(rand.Int64N(int64(step)/4 + 1)) // so that many clients do not come back at once
	return c.wait(ctx, max(step, pause))
}

// attempt makes a request once, twice where the server wants it authenticated.
func (e *endpoint) attempt(ctx context.Context, r request) (*http.Response, error) {
	for authenticated := false; ; authenticated = true {
		resp, err := e.follow(ctx, r)
		if err != nil {
			return nil, e.host.explained(err)
		}
		if slices.Contains(r.expect, resp.StatusCode) {
			return resp, nil
		}
		again := false
		if resp.StatusCode == http.StatusUnauthorized && !authenticated && e.owns(resp.Request.URL) { // whom we were redirected to has no claim on credentials
			again, err = e.auth.challenged(ctx, resp, r.scopes)
		}
		if !again || err != nil {
			return nil, orError(err, refusal(e.host.name, resp))
		}
		resp.Body.Close()
	}
}

func orError(err error, otherwise *Error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// worthwhile reports whether what has failed may succeed if it is tried again,
// after a pause at least.
func worthwhile(err error) (pause time.Duration, again bool) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.pause, refused.passing
	}
	return 0, err != nil && passing(err)
}

// retryAfter tells from an answer how long to wait, and not to try again if the
// answer would be the same or the wait is too long.
func retryAfter(resp *http.Response) (pause time.Duration, again bool) {
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		pause = max(0, time.Until(at))
	}
	return pause, pause <= maxWait
}

// passing reports whether a failure of the connection may be over soon.
func passing(err error) bool {
	var connection *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(*redirectError)), errors.As(err, new(*bodyError)):
		return false
	}
	return !errors.As(err, &connection) || connection.Op != "dial" // which the kernel and the resolver have tried again
}

// A bodyError is a failure of ours to make a request's body.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// A redirectError is a redirect that is not followed.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return "redirect: " + e.why }

// follow makes a request and follows redirects. Credentials stay with the
// endpoint's own host: net/http would send them to its subdomains and to its
// other ports too.
func (e *endpoint) follow(ctx context.Context, r request) (*http.Response, error) {
	for range maxRedirects + 1 {
		resp, err := e.exchange(ctx, r)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
			if r.method != http.MethodGet && r.method != http.MethodHead {
				return resp, nil
			}
		default:
			return resp, nil
		}
		resp.Body.Close()
		if r.url, err = e.next(r.url, resp.Header.Get("Location")); err != nil {
			return nil, err
		}
		if r.secret && !e.owns(r.url) {
			return nil, &redirectError{"it would take credentials to " + printable(r.url.Host)}
		}
	}
	return nil, &redirectError{fmt.Sprintf("more than %d", maxRedirects)}
}

// next is where a Location leads that came from an address.
func (e *endpoint) next(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil || location == "" || to.Host == "" {
		return nil, &redirectError{"it leads nowhere"}
	}
	to.User = nil
	if from.Scheme == "https" && to.Scheme == "http" && to.Hostname() == from.Hostname() {
		// A registry behind a proxy that ends TLS does not know better.
		to.Scheme, to.Host = from.Scheme, from.Host
	}
	if to.Scheme == "https" || to.Scheme == "http" && e.mayBePlain(from, to) {
		return to, nil
	}
	return nil, &redirectError{"from " + printable(from.Host) + " to " + printable(to.Scheme+"://"+to.Host) + ", which is not encrypted"}
}

// mayBePlain: from plain http one may be led to plain http on the same host, on
// this machine, or wherever an insecure registry likes.
func (e *endpoint) mayBePlain(from, to *url.URL) bool {
	return from.Scheme == "http" && (e.host.insecure || isLoopback(to.Host) || to.Host == from.Host)
}

// exchange sends a request and returns what comes back.
func (e *endpoint) exchange(ctx context.Context, r request) (*http.Response, error) {
	ctx, w := newWatch(ctx, e.host.client.options.Stall)
	req, err := e.build(ctx, r, w)
	if err != nil {
		w.end()
		return nil, err
	}
	resp, err := e.host.http.Do(req)
	w.stop()
	if err != nil {
		err = cause(ctx, err)
		w.end()
		return nil, err
	}
	resp.Body = &incoming{ReadCloser: resp.Body, ctx: ctx, w: w}
	return resp, nil
}

func (e *endpoint) build(ctx context.Context, r request, w *watch) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	req.Header.Set("User-Agent", e.host.client.options.UserAgent)
	if e.owns(r.url) {
		if err := e.auth.authorize(ctx, req, r.scopes); err != nil {
			return nil, err
		}
	}
	if r.body == nil || r.length == 0 {
		w.startLong()
		return req, nil
	}
	body, err := r.body()
	if err != nil {
		return nil, &bodyError{err}
	}
	req.Body, req.ContentLength = &outgoing{body, w}, r.length
	w.start()
	return req, nil
}

// owns reports whether an address is the endpoint's own host's.
func (e *endpoint) owns(u *url.URL) bool {
	e.host.mu.Lock()
	defer e.host.mu.Unlock()
	return u.Scheme == e.host.scheme && u.Host == e.host.server
}
