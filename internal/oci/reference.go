// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"fmt"
	"strings"
)

const (
	defaultDomain = "docker.io"
	legacyDomain  = "index.docker.io" // Docker Hub's first name
	official      = "library/"        // where Docker Hub keeps the images without a user

	// DefaultTag is the tag of a reference that names neither tag nor digest.
	DefaultTag = "latest"

	maxRepository = 255
	maxTag        = 128
)

// Reference names an image in a registry, in Docker's normal form: nothing is
// implied any more but the tag. References compare with ==.
type Reference struct {
	Domain     string // "docker.io", "localhost:5000"
	Repository string // "library/debian"
	Tag        string // "12", or none
	Digest     Digest // or none
}

// ParseReference parses s as Docker does: a first component without a dot, a
// colon or an upper-case letter is not a domain unless it is "localhost", and
// Docker Hub's own images need no "library/". The grammar is that of
// distribution/reference, except that a digest must be a SHA-256, and that a
// domain which its grammar would make part of the path is refused.
func ParseReference(s string) (Reference, error) {
	fail := func(cause error) (Reference, error) { return Reference{}, fmt.Errorf("reference %q: %w", s, cause) }
	if s == "" {
		return fail(errors.New("it is empty"))
	}
	if len(s) == 64 && isHex(s) {
		return fail(errors.New("64 hexadecimal digits are an image ID, not a name"))
	}
	r, rest := splitDomain(s)
	rest, digest, hasDigest := strings.Cut(rest, "@")
	repository, tag, hasTag := strings.Cut(rest, ":")
	r.Repository, r.Tag = repository, tag
	if err := r.check(); err != nil {
		return fail(err)
	}
	if hasTag && !isTag(tag) {
		return fail(fmt.Errorf("tag %q: use at most 128 letters, digits, '_', '.' and '-', and begin with none of the last two", tag))
	}
	if hasDigest {
		var err error
		if r.Digest, err = ParseDigest(digest); err != nil {
			return fail(err)
		}
	}
	return r, nil
}

// splitDomain decides what of s is a domain, and completes what Docker leaves
// out. The rest still has its tag and digest.
func splitDomain(s string) (r Reference, rest string) {
	first, rest, found := strings.Cut(s, "/")
	switch {
	case !found:
		return Reference{Domain: defaultDomain}, official + s
	case first == legacyDomain:
		first = defaultDomain
	case first != "localhost" && !strings.ContainsAny(first, ".:") && strings.ToLower(first) == first:
		return Reference{Domain: defaultDomain}, s
	}
	if first == defaultDomain && !strings.Contains(rest, "/") {
		rest = official + rest
	}
	return Reference{Domain: first}, rest
}

func (r Reference) check() error {
	if !isDomain(r.Domain) {
		return fmt.Errorf("domain %q is not a host name or address with an optional port", r.Domain)
	}
	if len(r.Repository) > maxRepository {
		return fmt.Errorf("the repository is longer than %d bytes", maxRepository)
	}
	for component := range strings.SplitSeq(r.Repository, "/") {
		if !isPathComponent(component) {
			return componentError(component)
		}
	}
	return nil
}

func componentError(component string) error {
	switch {
	case component == "":
		return errors.New("a path component is empty")
	case strings.ToLower(component) != component:
		return fmt.Errorf("%q: a repository is written in lower case", component)
	}
	return fmt.Errorf("%q: a path component is lower-case letters and digits, separated by '.', '_', '__' or '-'", component)
}

// Name is the reference without tag and digest.
func (r Reference) Name() string { return r.Domain + "/" + r.Repository }

// String is the whole reference in its normal form.
func (r Reference) String() string { return r.Name() + r.suffix() }

// Familiar is the shortest text that parses to r, as listings show it.
func (r Reference) Familiar() string {
	if r.Domain != defaultDomain {
		return r.String()
	}
	if name, ok := strings.CutPrefix(r.Repository, official); ok && !strings.Contains(name, "/") {
		return name + r.suffix()
	}
	return r.Repository + r.suffix()
}

func (r Reference) suffix() string {
	var s string
	if r.Tag != "" {
		s = ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// WithDefaultTag is r with the tag "latest" if it has neither tag nor digest.
func (r Reference) WithDefaultTag() Reference {
	if r.Tag == "" && r.Digest == "" {
		r.Tag = DefaultTag
	}
	return r
}

// MarshalText makes a reference a string in a document.
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText refuses what ParseReference refuses.
func (r *Reference) UnmarshalText(text []byte) (err error) {
	*r, err = ParseReference(string(text))
	return err
}
