// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Credentials are what a registry is told about who asks. The zero value is
// nobody.
type Credentials struct {
	Username      string
	Password      string
	IdentityToken string // in place of a password: exchanged for tokens (OAuth2)
	RegistryToken string // a token as it is
}

// None reports whether the credentials are nobody's.
func (c Credentials) None() bool { return c == Credentials{} }

// hubKey is Docker Hub's name in files of credentials.
const hubKey = "https://index.docker.io/v1/"

// An authDocument is Docker's config.json or Podman's auth.json. Fields that are
// not ours are kept by whoever writes one.
type authDocument struct {
	Auths       map[string]authEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`
}

type authEntry struct {
	Auth          string `json:"auth,omitempty"` // base64 of user:password
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

// Credentials finds those for a repository of a host: in each file in turn, by
// the most specific name first, "example.com/team/project" before
// "example.com/team" and "example.com" (containers-auth.json(5)).
func (f Files) Credentials(ctx context.Context, host, repository string) (Credentials, error) {
	for i, path := range f.Auth {
		data, err := readFile(path)
		if isAbsent(err) && (i > 0 || !f.Explicit) {
			continue
		}
		if err != nil {
			return Credentials{}, fmt.Errorf("read credentials: %w", err)
		}
		found, err := f.credentials(ctx, data, names(host, repository))
		if err != nil {
			return Credentials{}, fmt.Errorf("read credentials in %s: %w", path, err)
		}
		if !found.None() {
			return found, nil
		}
	}
	return Credentials{}, nil
}

// names are the keys under which credentials may be, the most specific first.
func names(host, repository string) (names []string) {
	for name := host + "/" + repository; name != ""; {
		if strings.Contains(name, "/") && !strings.HasSuffix(name, "/") {
			names = append(names, name)
		}
		end := strings.LastIndexByte(name, '/')
		name = name[:max(end, 0)]
	}
	return append(names, hostNames(host)...)
}

// hostNames are a host's own keys.
func hostNames(host string) []string {
	if host == hub {
		return []string{hub, hubKey, "index.docker.io", hubServer}
	}
	return []string{host}
}

// credentials finds those in one file: a helper that is named for the host, an
// entry, the helper for all others.
func (f Files) credentials(ctx context.Context, data []byte, names []string) (Credentials, error) {
	d, err := parseAuth(data)
	if err != nil {
		return Credentials{}, err
	}
	for _, name := range names {
		if helper := d.CredHelpers[name]; helper != "" {
			return f.helper(helper).get(ctx, name)
		}
	}
	for _, name := range names {
		if found, err := d.entry(name); err != nil || !found.None() {
			return found, err
		}
	}
	if d.CredsStore == "" {
		return Credentials{}, nil
	}
	for _, name := range names {
		if strings.Contains(name, "/") && name != hubKey {
			continue // helpers know hosts
		}
		if found, err := f.helper(d.CredsStore).get(ctx, name); err != nil || !found.None() {
			return found, err
		}
	}
	return Credentials{}, nil
}

func parseAuth(data []byte) (d authDocument, err error) {
	if len(strings.TrimSpace(string(data))) == 0 {
		return d, nil
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, err
	}
	return d, nil
}

// entry is what a file says for a key, which may be written as an address.
func (d authDocument) entry(name string) (Credentials, error) {
	e, ok := d.Auths[name]
	for key, other := range d.Auths {
		if !ok && key != name && bareName(key) == name {
			e, ok = other, true
		}
	}
	if !ok {
		return Credentials{}, nil
	}
	c, err := e.credentials()
	if err != nil {
		return Credentials{}, fmt.Errorf("entry %s: %w", printable(name), err)
	}
	return c, nil
}

// bareName takes from a key what Docker's first versions wrote around the host.
func bareName(key string) string {
	name, isAddress := strings.CutPrefix(key, "https://")
	if !isAddress {
		if name, isAddress = strings.CutPrefix(key, "http://"); !isAddress {
			return key
		}
	}
	host, _, _ := strings.Cut(name, "/")
	return host
}

func (e authEntry) credentials() (Credentials, error) {
	c := Credentials{e.Username, e.Password, e.IdentityToken, e.RegistryToken}
	if e.Auth == "" {
		return c, nil
	}
	text, err := base64.StdEncoding.DecodeString(e.Auth)
	if err != nil {
		return Credentials{}, errors.New("auth is not base64")
	}
	user, password, found := strings.Cut(string(text), ":")
	if !found {
		return Credentials{}, errors.New("auth is not user:password")
	}
	c.Username, c.Password = user, strings.Trim(password, "\x00")
	return c, nil
}

// holds reports whether a file says something of its own for one of the keys.
func holds(path string, names []string) bool {
	data, err := readFile(path)
	if err != nil {
		return false
	}
	d, err := parseAuth(data)
	if err != nil {
		return false
	}
	for _, name := range names {
		if _, ok := d.Auths[name]; ok || d.CredHelpers[name] != "" {
			return true
		}
	}
	return false
}

// clearText is what a person is told whose credentials are in a file.
func clearText(path string) string {
	return "the credentials are stored unencrypted in " + path + "; a credential helper would keep them safe (credsStore in Docker's config.json)"
}
