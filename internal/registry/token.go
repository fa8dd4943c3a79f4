// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxToken      = 1 << 20          // bytes of a token server's answer
	tokenLifetime = 60 * time.Second // where the server names none (distribution, token authentication)
	tokenMargin   = 10 * time.Second // a token is not used so shortly before its end
)

// An authenticator authenticates requests about one repository, in the way that
// its host asks for.
type authenticator struct {
	host   *host
	lookup func(context.Context) (Credentials, error)

	mu          sync.Mutex
	known       bool // credentials have been looked up
	credentials Credentials
	basic       bool              // the host wants the credentials themselves
	tokens      map[string]*token // by scopes
	last        bool              // the host is a token server: there is none behind it
}

type token struct {
	value   string
	expires time.Time
}

func newAuthenticator(h *host, lookup func(context.Context) (Credentials, error)) *authenticator {
	return &authenticator{host: h, lookup: lookup, tokens: map[string]*token{}}
}

// authorize adds to a request what the host has been found to want.
func (a *authenticator) authorize(_ context.Context, req *http.Request, scopes []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[strings.Join(scopes, " ")]
	switch {
	case a.basic:
		req.SetBasicAuth(a.credentials.Username, a.credentials.Password)
	case t != nil && time.Now().Before(t.expires):
		req.Header.Set("Authorization", "Bearer "+t.value)
	}
	return nil
}

// challenged prepares for the next attempt after a host has answered 401. It
// returns false if there is nothing that we could do.
func (a *authenticator) challenged(ctx context.Context, resp *http.Response, scopes []string) (bool, error) {
	if a.last {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.Join(scopes, " ")
	if t := a.tokens[key]; t != nil && resp.Request.Header.Get("Authorization") != "Bearer "+t.value && time.Now().Before(t.expires) {
		return true, nil // somebody else has got one meanwhile
	}
	if err := a.load(ctx); err != nil {
		return false, err
	}
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	for _, c := range challenges {
		if c.scheme != "bearer" {
			continue
		}
		t, err := a.token(ctx, c, scopes)
		if err != nil {
			return false, err
		}
		a.tokens[key] = t
		return true, nil
	}
	for _, c := range challenges {
		if c.scheme == "basic" && a.credentials.Username != "" {
			a.basic = true
			return resp.Request.Header.Get("Authorization") == "", nil // what was refused is refused again
		}
	}
	return false, nil
}

// load looks the credentials up, once.
func (a *authenticator) load(ctx context.Context) (err error) {
	if !a.known {
		a.credentials, err = a.lookup(ctx)
		a.known = err == nil
	}
	return err
}

// token asks the server that a challenge names for a token.
func (a *authenticator) token(ctx context.Context, c challenge, scopes []string) (*token, error) {
	if a.credentials.RegistryToken != "" {
		return &token{a.credentials.RegistryToken, time.Now().Add(time.Hour)}, nil
	}
	realm, err := a.realm(c)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		scopes = strings.Fields(c.parameters["scope"])
	}
	server, r := a.tokenServer(realm, c.parameters["service"], scopes)
	resp, err := server.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return parseToken(resp.Body)
}

// tokenServer is an endpoint of its own, so that redirects lead away from it as
// they do from a registry. Its failures are the registry's.
func (a *authenticator) tokenServer(realm *url.URL, service string, scopes []string) (*endpoint, request) {
	h := &host{client: a.host.client, name: a.host.name, server: realm.Host, insecure: a.host.insecure, scheme: realm.Scheme, http: a.host.http}
	auth := newAuthenticator(h, nil)
	auth.last, auth.credentials = true, a.credentials
	auth.basic = a.credentials.Username != "" && a.credentials.IdentityToken == ""
	return &endpoint{host: h, auth: auth}, a.credentials.tokenRequest(realm, service, scopes)
}

// realm is the token server's address. Credentials go there, so it must be
// encrypted unless the registry itself may do without.
func (a *authenticator) realm(c challenge) (*url.URL, error) {
	u, err := url.Parse(c.parameters["realm"])
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%s: the registry names no token server: %q", a.host.name, printable(c.parameters["realm"]))
	}
	u.User = nil
	from, err := a.host.base(context.Background()) // known by now
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" && (from.Scheme == "https" || !a.host.insecure && !isLoopback(u.Host)) {
		return nil, fmt.Errorf("%s: the token server %s is not encrypted", a.host.name, printable(u.Host))
	}
	return u, nil
}

// tokenRequest asks for a token: with an identity token by OAuth2, otherwise with
// the password, or anonymously (distribution, "Token Authentication").
func (c Credentials) tokenRequest(realm *url.URL, service string, scopes []string) request {
	u := *realm
	if c.IdentityToken != "" {
		form := url.Values{
			"grant_type": {"refresh_token"}, "service": {service}, "client_id": {"strata"},
			"refresh_token": {c.IdentityToken}, "scope": {strings.Join(scopes, " ")},
		}.Encode()
		return request{
			method: http.MethodPost, url: &u, expect: []int{http.StatusOK}, length: int64(len(form)), secret: true,
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			body:   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil },
		}
	}
	query := u.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, s := range scopes {
		query.Add("scope", s)
	}
	if c.Username != "" {
		query.Set("account", c.Username)
	}
	u.RawQuery = query.Encode()
	return request{method: http.MethodGet, url: &u, expect: []int{http.StatusOK}}
}

// parseToken reads a token server's answer.
func parseToken(r io.Reader) (*token, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxToken))
	if err != nil {
		return nil, fmt.Errorf("the token server's answer: %w", err)
	}
	var answer struct {
		Token       string  `json:"token"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("the token server's answer: %w", err)
	}
	value := orDefault(answer.Token, answer.AccessToken)
	if value == "" || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, errors.New("the token server has sent no token")
	}
	lifetime := tokenLifetime
	if answer.ExpiresIn > 0 && answer.ExpiresIn < 1e6 {
		lifetime = time.Duration(answer.ExpiresIn * float64(time.Second))
	}
	return &token{value, time.Now().Add(max(lifetime-tokenMargin, lifetime/2))}, nil
}
