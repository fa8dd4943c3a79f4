// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"strata/internal/oci"
)

const (
	sum1 = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sum2 = "sha256:abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd"
)

var good = []struct{ in, normal, familiar string }{
	{"debian", "docker.io/library/debian", "debian"},
	{"debian:12", "docker.io/library/debian:12", "debian:12"},
	{"library/debian", "docker.io/library/debian", "debian"},
	{"docker.io/debian", "docker.io/library/debian", "debian"},
	{"index.docker.io/debian:x", "docker.io/library/debian:x", "debian:x"},
	{"index.docker.io/u/x", "docker.io/u/x", "u/x"},
	{"user/app:v1.2-rc_1", "docker.io/user/app:v1.2-rc_1", "user/app:v1.2-rc_1"},
	{"library/a/b", "docker.io/library/a/b", "library/a/b"},
	{"localhost/app", "localhost/app", "localhost/app"},
	{"localhost:5000/app", "localhost:5000/app", "localhost:5000/app"},
	{"Host/app", "Host/app", "Host/app"},
	{"ghcr.io/a/b/c:tag@" + sum1, "ghcr.io/a/b/c:tag@" + sum1, "ghcr.io/a/b/c:tag@" + sum1},
	{"debian@" + sum1, "docker.io/library/debian@" + sum1, "debian@" + sum1},
	{"127.0.0.1:5000/x", "127.0.0.1:5000/x", "127.0.0.1:5000/x"},
	{"[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"},
	{"[2001:db8::1]/x:t", "[2001:db8::1]/x:t", "[2001:db8::1]/x:t"},
	{"xn--n3h.com/myimage", "xn--n3h.com/myimage", "xn--n3h.com/myimage"},
	{"a__b/c---d.e_f", "docker.io/a__b/c---d.e_f", "a__b/c---d.e_f"},
	{"x:" + strings.Repeat("t", 128), "docker.io/library/x:" + strings.Repeat("t", 128), "x:" + strings.Repeat("t", 128)},
	{sum1, "docker.io/library/" + sum1, sum1}, // an image called sha256, for Docker too
	{"example.com:8080", "docker.io/library/example.com:8080", "example.com:8080"},
	{strings.Repeat("a", 63), "docker.io/library/" + strings.Repeat("a", 63), strings.Repeat("a", 63)},
}

func TestParseReference(t *testing.T) {
	for _, c := range good {
		r, err := oci.ParseReference(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if r.String() != c.normal || r.Familiar() != c.familiar {
			t.Errorf("%q: got %q and %q, want %q and %q", c.in, r, r.Familiar(), c.normal, c.familiar)
		}
	}
}

var bad = []struct{ in, want string }{
	{"", "it is empty"},
	{"Debian", "lower case"},
	{"user/App", "lower case"},
	{strings.TrimPrefix(sum1, "sha256:"), "an image ID"},
	{"debian:", "tag"},
	{"debian:.x", "tag"},
	{"x:" + strings.Repeat("t", 129), "tag"},
	{"debian@", "digest"},
	{"debian@sha256:abc", "digest"},
	{"debian@sha512:" + strings.Repeat("a", 128), "digest"},
	{"a//b", "empty"},
	{"a/", "empty"},
	{"/a", "empty"},
	{"a..b", "separated by"},
	{"a.-b", "separated by"},
	{"-a", "separated by"},
	{"a-", "separated by"},
	{"a___b", "separated by"},
	{"a b", "separated by"},
	{"ä/b", "separated by"},
	{"../../etc/passwd", "domain"},
	{"-x.com/a", "domain"},
	{"a_b.com/a", "domain"},
	{"host:port/a", "domain"},
	{"host:/a", "domain"},
	{"[::1/a", "domain"},
	{"[::1%eth0]/a", "domain"},
	{"docker.io/" + strings.Repeat("a", 256), "longer than 255"},
	{"http://debian", "domain"},
}

func TestParseReferenceRefuses(t *testing.T) {
	for _, c := range bad {
		r, err := oci.ParseReference(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "reference ") {
			t.Errorf("%q: got %q, %v, want an error with %q", c.in, r, err, c.want)
		}
	}
}

// stricter tells of a reference that distribution/reference takes whether we are
// meant to refuse it.
func stricter(theirs reference.Named) bool {
	digested, ok := theirs.(reference.Digested)
	return ok && !strings.HasPrefix(string(digested.Digest()), "sha256:") || reference.Domain(theirs) == ""
}

// compare checks that we and distribution/reference make the same of s.
func compare(t *testing.T, s string) {
	t.Helper()
	ours, err := oci.ParseReference(s)
	theirs, theirErr := reference.ParseNormalizedNamed(s)
	if theirErr == nil && stricter(theirs) {
		if err == nil {
			t.Errorf("%q: we take %q, which we are not meant to", s, ours)
		}
		return
	}
	if (err == nil) != (theirErr == nil) {
		t.Fatalf("%q: our error %v, theirs %v", s, err, theirErr)
	}
	if err != nil {
		return
	}
	if ours.String() != theirs.String() || ours.Familiar() != reference.FamiliarString(theirs) ||
		ours.Domain != reference.Domain(theirs) || ours.Repository != reference.Path(theirs) {
		t.Errorf("%q: we %q, %q; they %q, %q", s, ours, ours.Familiar(), theirs, reference.FamiliarString(theirs))
	}
	if got, want := ours.WithDefaultTag().String(), reference.TagNameOnly(theirs).String(); got != want {
		t.Errorf("%q: with a tag %q, they %q", s, got, want)
	}
	again, err := oci.ParseReference(ours.Familiar())
	if err != nil || again != ours {
		t.Errorf("%q: the familiar form %q parses to %q, %v", s, ours.Familiar(), again, err)
	}
}

func TestAgainstDistribution(t *testing.T) {
	for _, c := range good {
		compare(t, c.in)
	}
	for _, c := range bad {
		compare(t, c.in)
	}
}

func FuzzReference(f *testing.F) {
	for _, c := range good {
		f.Add(c.in)
	}
	for _, c := range bad {
		f.Add(c.in)
	}
	f.Fuzz(compare)
}

func TestReferenceAsText(t *testing.T) {
	ref, err := oci.ParseReference("debian:12")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(ref)
	if err != nil || string(data) != `"docker.io/library/debian:12"` {
		t.Errorf("marshalled %s, %v", data, err)
	}
	var back oci.Reference
	if err := json.Unmarshal(data, &back); err != nil || back != ref {
		t.Errorf("unmarshalled %q, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"../x"`), &back); err == nil {
		t.Error("a reference that is none was unmarshalled")
	}
}
