// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A helper is a program that keeps credentials, docker-credential-NAME
// (github.com/docker/docker-credential-helpers).
type helper struct{ name string }

func (f Files) helper(name string) helper { return helper{name} }

const (
	tokenUser = "<token>" // the user's name where the secret is an identity token
	notThere  = "credentials not found"
)

// get asks for the credentials of a server. There may be none.
func (h helper) get(ctx context.Context, server string) (Credentials, error) {
	out, err := h.run(ctx, "get", server)
	if err != nil && strings.Contains(err.Error(), notThere) {
		return Credentials{}, nil
	}
	if err != nil {
		return Credentials{}, err
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return Credentials{}, fmt.Errorf("docker-credential-%s: %w", h.name, err)
	}
	if answer.Username == tokenUser {
		return Credentials{IdentityToken: answer.Secret}, nil
	}
	return Credentials{Username: answer.Username, Password: answer.Secret}, nil
}

// store hands credentials over.
func (h helper) store(ctx context.Context, server string, c Credentials) error {
	in, err := json.Marshal(struct{ ServerURL, Username, Secret string }{server, c.Username, c.Password})
	if err != nil {
		return err
	}
	_, err = h.run(ctx, "store", string(in))
	return err
}

// erase has a server's credentials forgotten, and reports whether there were any.
func (h helper) erase(ctx context.Context, server string) (bool, error) {
	found, err := h.get(ctx, server)
	if err != nil || found.None() {
		return false, err
	}
	_, err = h.run(ctx, "erase", server)
	return true, err
}

// run executes the helper. What it prints in a failure is the cause.
func (h helper) run(ctx context.Context, verb, in string) ([]byte, error) {
	if strings.ContainsAny(h.name, "/\x00") { // a name, not a path
		return nil, fmt.Errorf("credential helper %q: not a name", printable(h.name))
	}
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker-credential-"+h.name, verb)
	cmd.Env = os.Environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &limited{&out}, &limited{&complaint}
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(printable(out.String() + " " + complaint.String()))
	}
	return nil, fmt.Errorf("docker-credential-%s: %w", h.name, err)
}

// limited is a buffer that takes a megabyte and loses the rest.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(0, 1<<20-l.b.Len()))])
	return len(p), nil
}
