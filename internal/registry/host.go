// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"strata/internal/oci"
)

const (
	hub       = "docker.io"            // in references
	hubServer = "registry-1.docker.io" // where its registry is
)

// A host is one registry server.
type host struct {
	client   *Client
	name     string // as people know it: "docker.io", "localhost:5000"
	server   string // host and port of its addresses
	insecure bool   // certificates are not checked, and plain http will do
	http     *http.Client

	mu     sync.Mutex
	scheme string // "" until it is known
}

// host returns the host called name.
func (c *Client) host(name string, insecure bool) (*host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(name, " ", insecure)
	if h := c.hosts[key]; h != nil {
		return h, nil
	}
	h, err := c.newHost(name, insecure)
	if err == nil {
		c.hosts[key] = h
	}
	return h, err
}

func (c *Client) newHost(name string, insecure bool) (*host, error) {
	config, err := c.options.Files.tls(name)
	if err != nil {
		return nil, err
	}
	config.InsecureSkipVerify = insecure // the user's word in registries.conf
	h := &host{client: c, name: name, server: name, insecure: insecure, scheme: "https"}
	if name == hub {
		h.server = hubServer
	}
	if insecure || isLoopback(name) {
		h.scheme = "" // found out by asking
	}
	h.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  c.options.Proxy,
			DialContext:            (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    min(c.options.Stall, 30*time.Second),
			DisableCompression:     true, // a blob's bytes are what was asked for
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    16,
			MaxResponseHeaderBytes: 256 << 10,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // followed here
	}
	return h, nil
}

func (h *host) close() { h.http.CloseIdleConnections() }

// isLoopback reports whether a server is on this machine by its name, so that
// nobody can listen between.
func isLoopback(server string) bool {
	name, _, err := net.SplitHostPort(server)
	if err != nil {
		name = strings.Trim(server, "[]")
	}
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}

// base is the address of the host, "https://registry.example".
func (h *host) base(ctx context.Context) (*url.URL, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.scheme == "" {
		scheme, err := h.probe(ctx)
		if err != nil {
			return nil, err
		}
		h.scheme = scheme
	}
	return &url.URL{Scheme: h.scheme, Host: h.server}, nil
}

// probe finds out which scheme a host speaks that may speak plain http. A
// certificate that is wrong is not a reason to go without one.
func (h *host) probe(ctx context.Context) (string, error) {
	secure := h.ping(ctx, "https")
	var certificate *tls.CertificateVerificationError
	if secure == nil || ctx.Err() != nil || errors.As(secure, &certificate) {
		return "https", h.explained(secure)
	}
	if h.ping(ctx, "http") != nil {
		return "", h.explained(secure)
	}
	return "http", nil
}

// ping reports whether a server answers, whatever it says.
func (h *host) ping(ctx context.Context, scheme string) error {
	ctx, w := newWatch(ctx, h.client.options.Stall)
	defer w.end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+h.server+"/v2/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", h.client.options.UserAgent)
	resp, err := h.http.Do(req)
	if err != nil {
		return cause(ctx, err)
	}
	return resp.Body.Close()
}

// cause is why a request failed, where it was broken off from here: by the watch,
// or because the caller wants no more of it.
func cause(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case context.Cause(ctx) == errStalled:
		return errStalled
	}
	return ctx.Err() // and not its cause: callers look for context.Canceled
}

// explained adds to an error of the connection where it was and what helps.
func (h *host) explained(err error) error {
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &certificate):
		return fmt.Errorf("%s: %w; if it is the right server put its CA into %s", h.name, bare(err), h.client.options.Files.certificateHint(h.name))
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s: it speaks plain http, which is allowed on this machine only, or with insecure = true for it in registries.conf", h.name)
	}
	return fmt.Errorf("%s: %w", h.name, bare(err))
}

// path is the path of something in a repository.
func path(repository string, elements ...string) string {
	return "/v2/" + repository + "/" + strings.Join(elements, "/")
}

// tagOrDigest is what a manifest is asked for by.
func tagOrDigest(ref oci.Reference) string {
	if ref.Digest != "" {
		return string(ref.Digest)
	}
	return ref.WithDefaultTag().Tag
}
