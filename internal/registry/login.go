// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"strata/internal/oci"
)

// Login checks credentials with a registry and keeps them where Docker and
// Podman find them: with the credential helper that is configured for the host,
// or in a file. warning, if not "", is what the user should know of that.
func (c *Client) Login(ctx context.Context, domain string, as Credentials) (warning string, err error) {
	if err := c.verify(ctx, domain, as); err != nil {
		return "", err
	}
	path := c.options.Files.loginFile(domain)
	data, err := readFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("keep credentials: %w", err)
	}
	d, err := parseAuth(data)
	if err != nil {
		return "", fmt.Errorf("keep credentials in %s: %w", path, err)
	}
	key := hostNames(domain)[0]
	if domain == hub {
		key = hubKey
	}
	if name := orDefault(d.CredHelpers[key], d.CredsStore); name != "" {
		return "", c.options.Files.helper(name).store(ctx, key, as)
	}
	entry := authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(as.Username + ":" + as.Password))}
	err = edit(path, data, func(auths map[string]json.RawMessage) error {
		var err error
		auths[key], err = json.Marshal(entry)
		return err
	})
	return clearText(path), err
}

// verify asks the registry whether it takes the credentials.
func (c *Client) verify(ctx context.Context, domain string, as Credentials) error {
	places, err := c.config.places(oci.Reference{Domain: domain, Repository: "x"})
	if err != nil {
		return err
	}
	own := places[len(places)-1]
	h, err := c.host(own.domain, own.insecure)
	if err != nil {
		return err
	}
	e := &endpoint{host: h}
	e.auth = newAuthenticator(h, func(context.Context) (Credentials, error) { return as, nil })
	resp, err := e.send(ctx, request{method: http.MethodGet, path: "/v2/", expect: []int{http.StatusOK}})
	if IsDenied(err) {
		var refused *Error
		errors.As(err, &refused)
		return fmt.Errorf("the registry refuses this user name and password%s", said(refused))
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func said(e *Error) string {
	if e.Message == "" {
		return ""
	}
	return ": " + e.Message
}

// loginFile is where a login goes: to the first file that says something of the
// host already, which would hide any other, or to the usual one.
func (f Files) loginFile(domain string) string {
	if f.Named {
		return f.Login
	}
	for _, path := range f.Auth {
		if holds(path, hostNames(domain)) {
			return path
		}
	}
	return f.Login
}

// Logout forgets what Login has kept, in every file, and reports whether there
// was anything. A file that was named is the only one.
func (c *Client) Logout(ctx context.Context, domain string) (found bool, err error) {
	files := c.options.Files.Auth
	if c.options.Files.Named {
		files = files[:1]
	}
	for _, path := range files {
		here, err := c.options.Files.forget(ctx, path, hostNames(domain))
		if err != nil {
			return found, fmt.Errorf("forget credentials in %s: %w", path, err)
		}
		found = found || here
	}
	return found, nil
}

// forget takes the keys from one file and from the helpers that it names.
func (f Files) forget(ctx context.Context, path string, keys []string) (found bool, err error) {
	data, err := readFile(path)
	if isAbsent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d, err := parseAuth(data)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if name := orDefault(d.CredHelpers[key], d.CredsStore); name != "" {
			here, err := f.helper(name).erase(ctx, key)
			if err != nil {
				return found, err
			}
			found = found || here
		}
	}
	there := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { _, ok := d.Auths[key]; return !ok })
	if len(there) == 0 {
		return found, nil
	}
	return true, edit(path, data, func(auths map[string]json.RawMessage) error {
		for _, key := range there {
			delete(auths, key)
		}
		return nil
	})
}

// edit changes the auths of a file, which has data now, and nothing else of it.
// The file is replaced whole, and is its owner's only. A link is followed, as
// Docker does.
func edit(path string, data []byte, change func(auths map[string]json.RawMessage) error) error {
	document, auths := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if strings.TrimSpace(string(data)) != "" {
		if err := json.Unmarshal(data, &document); err != nil {
			return err
		}
	}
	if old := document["auths"]; old != nil {
		if err := json.Unmarshal(old, &auths); err != nil {
			return err
		}
	}
	if document == nil { // null
		document = map[string]json.RawMessage{}
	}
	if auths == nil {
		auths = map[string]json.RawMessage{}
	}
	err := change(auths)
	if err != nil {
		return err
	}
	if document["auths"], err = json.Marshal(auths); err != nil {
		return err
	}
	if data, err = json.MarshalIndent(document, "", "\t"); err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'))
}

// replaceFile writes a file with mode 0600 aside and renames it.
func replaceFile(path string, data []byte) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".strata-auth-") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
