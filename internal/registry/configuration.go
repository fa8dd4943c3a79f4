// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"strata/internal/oci"
)

// Configuration is what registries.conf says, version 2 of its format
// (containers-registries.conf(5)). The zero value is the usual: short names are
// Docker Hub's, and every registry is reached by its own name.
type Configuration struct {
	search     []string            // registries of short names, in their order
	aliases    map[string]string   // from short names to repositories
	registries map[string]registry // by prefix
}

type registry struct {
	Prefix             string   `toml:"prefix"`
	Location           string   `toml:"location"`
	Insecure           bool     `toml:"insecure"`
	Blocked            bool     `toml:"blocked"`
	Mirrors            []mirror `toml:"mirror"`
	MirrorByDigestOnly bool     `toml:"mirror-by-digest-only"`
}

type mirror struct {
	Location       string    `toml:"location"`
	Insecure       bool      `toml:"insecure"`
	PullFromMirror mirrorUse `toml:"pull-from-mirror"`
}

// A mirrorUse says for which references a mirror is asked.
type mirrorUse string

const (
	always       mirrorUse = "all"
	onlyByDigest mirrorUse = "digest-only"
	onlyByTag    mirrorUse = "tag-only"
)

func (u mirrorUse) allows(byDigest bool) bool {
	return u != onlyByDigest && !byDigest || u != onlyByTag && byDigest
}

// configurationFile is one file, the main one or one of registries.conf.d.
type configurationFile struct {
	Search     []string                  `toml:"unqualified-search-registries"`
	Registries []registry                `toml:"registry"`
	Aliases    map[string]string         `toml:"aliases"`
	Version1   map[string]toml.Primitive `toml:"registries"`
}

// add reads one more file, whose words replace those of earlier ones: the list
// of search registries and each alias and prefix as a whole.
func (c *Configuration) add(data []byte) error {
	var f configurationFile
	if _, err := toml.Decode(string(data), &f); err != nil {
		return errors.New(printable(err.Error()))
	}
	if f.Version1 != nil {
		return errors.New("it is in the old format, version 1; write it in version 2 (containers-registries.conf(5))")
	}
	if f.Search != nil {
		c.search = f.Search
	}
	if c.aliases == nil {
		c.aliases, c.registries = map[string]string{}, map[string]registry{}
	}
	maps.Copy(c.aliases, f.Aliases)
	for _, r := range f.Registries {
		if err := r.complete(); err != nil {
			return err
		}
		c.registries[r.Prefix] = r
	}
	return nil
}

// complete fills in what is left out and refuses what means nothing.
func (r *registry) complete() error {
	r.Prefix = strings.TrimSuffix(orDefault(r.Prefix, r.Location), "/")
	r.Location = strings.TrimSuffix(r.Location, "/")
	if r.Prefix == "" {
		return errors.New("a [[registry]] has neither prefix nor location")
	}
	for i, m := range r.Mirrors {
		if m.Location == "" {
			return fmt.Errorf("a mirror of %s has no location", r.Prefix)
		}
		if r.MirrorByDigestOnly {
			m.PullFromMirror = orDefault(m.PullFromMirror, onlyByDigest)
		}
		m.PullFromMirror = orDefault(m.PullFromMirror, always)
		if m.PullFromMirror != always && m.PullFromMirror != onlyByDigest && m.PullFromMirror != onlyByTag {
			return fmt.Errorf("pull-from-mirror = %q: use all, digest-only or tag-only", m.PullFromMirror)
		}
		r.Mirrors[i] = m
	}
	return nil
}

// A place is where a repository can be found.
type place struct {
	domain, repository string
	insecure           bool
	use                mirrorUse
}

// places are where ref can be found: its mirrors, and last the repository itself.
func (c *Configuration) places(ref oci.Reference) ([]place, error) {
	name := ref.Name()
	r, ok := c.registry(name)
	switch {
	case !ok:
		return []place{{ref.Domain, ref.Repository, false, always}}, nil
	case r.Blocked:
		return nil, fmt.Errorf("registries.conf blocks %s", r.Prefix)
	}
	var found []place
	for _, m := range append(slices.Clone(r.Mirrors), mirror{r.Location, r.Insecure, always}) {
		at := r.rewrite(name, m.Location)
		there, err := oci.ParseReference(at)
		if err != nil || there.Tag != "" || there.Digest != "" || isShort(at, there) {
			return nil, fmt.Errorf("registries.conf makes %q of %s, which is not a repository", printable(at), name)
		}
		found = append(found, place{there.Domain, there.Repository, m.Insecure, m.PullFromMirror})
	}
	return found, nil
}

// rewrite puts a location in the place of the prefix of a name.
func (r registry) rewrite(name, location string) string {
	if location == "" {
		return name
	}
	if strings.HasPrefix(r.Prefix, "*.") {
		_, repository, _ := strings.Cut(name, "/")
		return location + "/" + repository
	}
	return location + strings.TrimPrefix(name, r.Prefix)
}

// registry is the entry with the longest prefix of a name.
func (c *Configuration) registry(name string) (best registry, ok bool) {
	for prefix, r := range c.registries {
		if covers(prefix, name) && (!ok || len(prefix) > len(best.Prefix)) {
			best, ok = r, true
		}
	}
	return best, ok
}

// covers reports whether a prefix is one of a name: whole components of its
// path, or "*.example.com" for the hosts beneath a domain.
func covers(prefix, name string) bool {
	if suffix, wild := strings.CutPrefix(prefix, "*"); wild {
		host, _, _ := strings.Cut(name, "/")
		return strings.HasPrefix(suffix, ".") && strings.HasSuffix(host, suffix)
	}
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// Candidates are the references that a name may stand for, in the order in which
// they are tried: one, unless the name is short, no alias is set for it, and
// several registries are to be searched. With nothing configured a short name is
// Docker Hub's.
func (c *Client) Candidates(name string) ([]oci.Reference, error) { return c.config.candidates(name) }

func (c *Configuration) candidates(name string) ([]oci.Reference, error) {
	ref, err := oci.ParseReference(name)
	if err != nil {
		return nil, err
	}
	if !isShort(name, ref) {
		return []oci.Reference{ref}, nil
	}
	path, _, _ := strings.Cut(name, "@")
	path, _, _ = strings.Cut(path, ":")
	if target, ok := c.aliases[path]; ok {
		alias, err := oci.ParseReference(target)
		if err != nil || alias.Tag != "" || alias.Digest != "" || isShort(target, alias) {
			return nil, fmt.Errorf("registries.conf: the alias of %s is %q, which is not a repository with its registry", path, target)
		}
		ref.Domain, ref.Repository = alias.Domain, alias.Repository
		return []oci.Reference{ref}, nil
	}
	if len(c.search) == 0 {
		return []oci.Reference{ref}, nil
	}
	return c.searched(name)
}

// searched is a short name in each of the registries to be searched.
func (c *Configuration) searched(name string) (found []oci.Reference, err error) {
	for _, domain := range c.search {
		ref, err := oci.ParseReference(domain + "/" + name)
		if err != nil {
			return nil, fmt.Errorf("registries.conf: search registry %q: %w", domain, err)
		}
		found = append(found, ref)
	}
	return found, nil
}

// isShort reports whether a name that parses to ref says no registry.
func isShort(name string, ref oci.Reference) bool {
	first, _, _ := strings.Cut(name, "/")
	return ref.Domain == hub && (first == name || first != hub && first != "index."+hub)
}
