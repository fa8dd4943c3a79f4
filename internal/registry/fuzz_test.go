// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"
	"testing"

	"strata/internal/oci"
)

func FuzzConfiguration(f *testing.F) {
	f.Add(configured, "debian")
	f.Add("[[registry]]\nprefix = '*.'\nlocation='*.x/'", "a.x/b")
	f.Add("unqualified-search-registries = ['', 'a/b', '../']\n[aliases]\nx = 'x'", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		var c Configuration
		if c.add([]byte(text)) != nil {
			return
		}
		refs, err := c.candidates(name)
		if err != nil {
			return
		}
		for _, ref := range refs {
			places, err := c.places(ref)
			for _, p := range places { // they become addresses
				if again, parseErr := oci.ParseReference(p.domain + "/" + p.repository); err == nil && (parseErr != nil || again.Domain != p.domain) {
					t.Errorf("%s: %+v is not a repository: %v", name, p, parseErr)
				}
			}
		}
	})
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a:pull,push"`)
	f.Add(`Basic realm="a \"b\", c", Negotiate abc==, Bearer realm=x`)
	f.Add(`Bearer realm="unterminated`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges([]string{header, header}) {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) || len(c.parameters) > maxParameters {
				t.Errorf("%q: got %+v", header, c)
			}
		}
	})
}

func FuzzAuthFile(f *testing.F) {
	f.Add(`{"auths":{"r.example":{"auth":"dTpw"},"https://r.example/v1/":{}},"credHelpers":{},"credsStore":""}`)
	f.Add(`{"auths":{"r.example":null}}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, document string) {
		d, err := parseAuth([]byte(document))
		if err != nil {
			return
		}
		for _, name := range append(names("r.example", "a/b"), hubKey) {
			if _, err := d.entry(name); err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%q: %q", document, err)
			}
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if got := printable(s); len([]rune(got)) > maxShown+1 || strings.ContainsAny(got, "\x1b\n\r\u202e\u009b") {
			t.Errorf("%q: got %q", s, got)
		}
	})
}
