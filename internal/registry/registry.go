// SPDX-License-Identifier: Apache-2.0

// Package registry is the distribution protocol as a client: it resolves
// references, downloads and uploads blobs and manifests, and finds what
// configuration and credentials Docker and Podman have left on the machine.
//
// A registry is not trusted: what it says is bounded, checked against digests
// and sizes, and made printable before anybody shows it; credentials go to the
// host that they are for and to the token server which that host names, never
// along a redirect.
package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"strata/internal/oci"
)

// Options say how registries are spoken to. The zero value is what a command
// uses.
type Options struct {
	Files     Files         // where configuration is; the zero value is none
	UserAgent string        // "" for "strata"
	Stall     time.Duration // a transfer without a byte for so long is broken off; 0: a minute
	Attempts  int           // how often a request is made that fails for a passing cause; 0: 5
	Backoff   time.Duration // before the second attempt, doubled before each further one; 0: a second
	// Proxy chooses the proxy of a request; nil: HTTP_PROXY, HTTPS_PROXY, NO_PROXY.
	Proxy func(*http.Request) (*url.URL, error)
}

// A Client speaks to registries. It is safe for concurrent use.
type Client struct {
	options Options
	config  *Configuration
	// wait sleeps, for tests to count.
	wait func(context.Context, time.Duration) error

	mu    sync.Mutex
	hosts map[string]*host // by name and whether it may be insecure
}

// New reads the configuration.
func New(o Options) (*Client, error) {
	config, err := o.Files.configuration()
	if err != nil {
		return nil, err
	}
	o.UserAgent = orDefault(o.UserAgent, "strata")
	o.Stall = orDefault(o.Stall, time.Minute)
	o.Attempts = orDefault(o.Attempts, 5)
	o.Backoff = orDefault(o.Backoff, time.Second)
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	return &Client{options: o, config: config, wait: wait, hosts: map[string]*host{}}, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// wait is time.Sleep that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.close()
	}
}

// A Repository is a repository of a registry with its mirrors.
type Repository struct {
	name oci.Reference // without tag and digest
	// endpoints are the places to read from in their order; the last one is the
	// repository itself.
	endpoints []*endpoint
}

// An endpoint is a repository on one host.
type endpoint struct {
	host *host
	name string // of the repository there
	use  mirrorUse
	auth *authenticator
}

// Repository is the one that ref is in. A registry that registries.conf blocks
// is an error.
func (c *Client) Repository(ref oci.Reference) (*Repository, error) {
	places, err := c.config.places(ref)
	if err != nil {
		return nil, err
	}
	r := &Repository{name: oci.Reference{Domain: ref.Domain, Repository: ref.Repository}}
	for _, p := range places {
		h, err := c.host(p.domain, p.insecure)
		if err != nil {
			return nil, err
		}
		e := &endpoint{host: h, name: p.repository, use: p.use}
		e.auth = newAuthenticator(h, func(ctx context.Context) (Credentials, error) {
			return c.options.Files.Credentials(ctx, p.domain, p.repository)
		})
		r.endpoints = append(r.endpoints, e)
	}
	return r, nil
}

// String is the repository's name.
func (r *Repository) String() string { return r.name.Name() }

// own is the repository itself, to which everything is written.
func (r *Repository) own() *endpoint { return r.endpoints[len(r.endpoints)-1] }

// read calls f with each endpoint, mirrors first, until one succeeds. What a
// mirror cannot do the repository itself may.
func (r *Repository) read(ctx context.Context, byDigest bool, f func(*endpoint) error) error {
	var failed []error
	for _, e := range r.endpoints {
		if !e.use.allows(byDigest) {
			continue
		}
		err := f(e)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if e != r.own() {
			err = fmt.Errorf("mirror %s: %w", e.host.name, err)
		}
		failed = append(failed, err)
	}
	return joined(failed)
}
