// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"strata/internal/oci"
)

const (
	someDigest    = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	imageManifest = `{"schemaVersion":2,"mediaType":"` + oci.MediaTypeManifest + `","config":{"mediaType":"` + oci.MediaTypeConfig +
		`","digest":"` + someDigest + `","size":2},"layers":[]}`
)

// annotated is a manifest that differs from others by its annotation.
func annotated(name string) string {
	return strings.Replace(imageManifest, `"layers":[]`, `"layers":[],"annotations":{"n":"`+name+`"}`, 1)
}

func TestManifestRefused(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(imageManifest, old, with, 1) }
	for name, c := range map[string]struct {
		mediaType, data, digest, want string
	}{
		"other digest in the header":  {oci.MediaTypeManifest, imageManifest, someDigest, "and not " + someDigest + " as it says"},
		"schema 1":                    {"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"fsLayers":[]}`, "", "schema version 1, which is not supported"},
		"schema 1 in disguise":        {oci.MediaTypeManifest, `{"schemaVersion":1}`, "", "schema version 1"},
		"an index that says manifest": {oci.MediaTypeManifest, `{"schemaVersion":2,"mediaType":"` + oci.MediaTypeIndex + `","manifests":[]}`, "", "CVE-2021-41190"},
		"both at once":                {oci.MediaTypeManifest, replace(`"layers"`, `"manifests":[],"layers"`), "", "CVE-2021-41190"},
		"not JSON":                    {oci.MediaTypeManifest, "<html>", "", "parse manifest"},
		"an unknown type":             {"application/y", replace(oci.MediaTypeManifest, "application/x"), "", `media type "application/x" is not an image's`},
		"huge":                        {oci.MediaTypeManifest, strings.Repeat(" ", oci.MaxDocument) + imageManifest, "", "larger than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				w.Header().Set("Content-Type", c.mediaType)
				w.Header().Set("Docker-Content-Digest", c.digest)
				w.Write([]byte(c.data))
				return true
			}
			client, _ := newTestClient(t, Options{})
			_, err := f.repository(t, client, "a").Resolve(t.Context(), f.reference("a:1"), oci.Platform{OS: "linux", Architecture: "amd64"})
			wantError(t, err, c.want, "manifest 1: ")
		})
	}
}

// A manifest is what its digest says, whatever a registry sends for it.
func TestManifestByDigest(t *testing.T) {
	f := newFake(t)
	d := f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
	client, _ := newTestClient(t, Options{})
	ref := f.reference("a@" + string(d.Digest))
	if _, err := f.repository(t, client, "a").Manifest(t.Context(), ref); err != nil {
		t.Error(err)
	}
	f.manifests["a@"+string(d.Digest)] = Document{oci.MediaTypeManifest, d.Digest, []byte(imageManifest + " ")}
	_, err := f.repository(t, client, "a").Manifest(t.Context(), ref)
	wantError(t, err, "what the registry sends has the digest "+string(oci.FromBytes([]byte(imageManifest+" "))))
}

func index(entries ...string) string {
	return `{"schemaVersion":2,"mediaType":"` + oci.MediaTypeIndex + `","manifests":[` + strings.Join(entries, ",") + `]}`
}

func entry(d oci.Descriptor, platform string) string {
	data, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	if platform == "" {
		return string(data)
	}
	p, err := oci.ParsePlatform(platform)
	if err != nil {
		panic(err)
	}
	d.Platform = &p
	data, _ = json.Marshal(d)
	return string(data)
}

func TestResolve(t *testing.T) {
	f := newFake(t)
	add := func(name string) oci.Descriptor {
		return f.addManifest("a", name, oci.MediaTypeManifest, annotated(name))
	}
	unknown := add("unknown")
	unknown.MediaType = "application/vnd.example+json"
	inner := f.addManifest("a", "inner", oci.MediaTypeIndex, index(entry(add("arm64"), "linux/arm64"), entry(add("riscv"), "linux/riscv64")))
	empty := f.addManifest("a", "empty", oci.MediaTypeIndex, index())
	f.addManifest("a", "1", oci.MediaTypeIndex, index(
		entry(unknown, "linux/amd64"), entry(add("without"), ""), entry(add("v6"), "linux/arm/v6"), entry(add("v7"), "linux/arm/v7"), entry(empty, ""),
		entry(inner, ""), entry(add("first"), "linux/amd64"), entry(add("second"), "linux/amd64"), entry(add("v2"), "linux/amd64/v2"), entry(add("late"), "linux/riscv64"),
	))
	client, _ := newTestClient(t, Options{})
	for platform, want := range map[string]string{
		"linux/amd64": "first", "linux/amd64/v2": "v2", "linux/arm": "v7", "linux/arm/v6": "v6", "linux/arm64": "arm64", "linux/arm64/v8": "arm64",
		"linux/riscv64": "riscv", // in the nested index, which comes first
		"linux/s390x":   "",
	} {
		p, _ := oci.ParsePlatform(platform)
		found, err := f.repository(t, client, "a").Resolve(t.Context(), f.reference("a:1"), p)
		switch {
		case want == "":
			wantError(t, err, "there is no image for linux/s390x, only for linux/arm/v6, linux/arm/v7, linux/arm64, linux/riscv64, linux/amd64, linux/amd64/v2; choose with --platform")
		case err != nil || string(found.Manifest.Data) != annotated(want) || found.Digest != f.manifests["a:1"].Digest:
			t.Errorf("%s: got %s, %v, want %s", platform, found.Manifest.Data, err, want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	f := newFake(t)
	image := f.addManifest("a", "image", oci.MediaTypeManifest, imageManifest)
	wrongSize, wrongType := image, image
	wrongSize.Size++
	wrongType.MediaType = oci.MediaTypeIndex
	f.addManifest("a", "size", oci.MediaTypeIndex, index(entry(wrongSize, "linux/amd64")))
	f.addManifest("a", "type", oci.MediaTypeIndex, index(entry(wrongType, "")))
	f.addManifest("a", "gone", oci.MediaTypeIndex, index(entry(oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: someDigest}, "linux/amd64")))
	nested := f.addManifest("a", "nested0", oci.MediaTypeIndex, index(entry(image, "linux/amd64")))
	for i := range 20 {
		nested = f.addManifest("a", fmt.Sprint("nested", i+1), oci.MediaTypeIndex, index(entry(nested, "")))
	}
	var many []string
	for i := range 100 {
		many = append(many, entry(f.addManifest("a", fmt.Sprint("empty", i), oci.MediaTypeIndex, strings.Repeat(" ", i)+index()), ""))
	}
	f.addManifest("a", "many", oci.MediaTypeIndex, index(many...))
	client, _ := newTestClient(t, Options{})
	for tag, want := range map[string]string{
		"size": "bytes, and not", "type": "as the index says (CVE-2021-41190)", "gone": "404 Not Found: manifest unknown",
		"nested20": "nested too deeply", "many": "nested too deeply", "absent": "manifest absent: 127.0.0.1",
	} {
		_, err := f.repository(t, client, "a").Resolve(t.Context(), f.reference("a:"+tag), oci.Platform{OS: "linux", Architecture: "amd64"})
		wantError(t, err, want)
	}
}

// What a server says is shown short and without what a terminal would act on.
func TestErrorsArePrintable(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errors":[{"code":"X\u001b[2J","message":"\u001b]0;owned\u0007\nsecond line \u202e %s"}]}`, strings.Repeat("long ", 1000))
		w.Write(make([]byte, 8<<20))
		return true
	}
	client, _ := newTestClient(t, Options{})
	_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
	wantError(t, err, "400 Bad Request", "?]0;owned??second line ?")
	if text := err.Error(); len(text) > 400 || strings.ContainsAny(text, "\x1b\n\a\u202e") {
		t.Errorf("got %q", text)
	}
}

func TestTags(t *testing.T) {
	f := newFake(t)
	endless, elsewhere, bad := false, false, false
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		last := r.URL.Query().Get("last")
		switch {
		case bad:
			fmt.Fprint(w, `{"tags":["../x\u001b"]}`)
			return true
		case elsewhere:
			w.Header().Set("Link", `<http://127.0.0.2:1/v2/a/tags/list?last=b>; rel="next"`)
		case endless, last != "d":
			w.Header().Set("Link", `</v2/a/tags/list?n=2&last=`+map[string]string{"": "b", "b": "d"}[last]+`>; rel="next"`)
		}
		fmt.Fprint(w, map[string]string{"": `{"tags":["a","b"]}`, "b": `{"tags":["c","d"]}`, "d": `{"tags":null}`}[last])
		return true
	}
	client, _ := newTestClient(t, Options{})
	r := f.repository(t, client, "a")
	tags, err := r.Tags(t.Context())
	if got := strings.Join(tags, " "); err != nil || got != "a b c d" {
		t.Errorf("got %s, %v", got, err)
	}
	endless = true
	_, err = r.Tags(t.Context())
	wantError(t, err, "the registry's list does not end")
	elsewhere = true
	_, err = r.Tags(t.Context())
	wantError(t, err, "its next page is on another host, 127.0.0.2:1")
	bad = true
	_, err = r.Tags(t.Context())
	wantError(t, err, `the registry names a tag "../x?"`)
}

// A registry that knows no referrers gets them as an index in a tag.
func TestSubject(t *testing.T) {
	f := newFake(t)
	subject := oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: someDigest, Size: 9}
	referring := func(n string) Document {
		data := []byte(strings.Replace(annotated(n), `"layers"`, `"artifactType":"application/x","subject":`+entry(subject, "")+`,"layers"`, 1))
		return Document{oci.MediaTypeManifest, oci.FromBytes(data), data}
	}
	client, _ := newTestClient(t, Options{})
	r := f.repository(t, client, "a")
	for _, d := range []Document{referring("1"), referring("2"), referring("2")} {
		if err := r.PutManifest(t.Context(), oci.Reference{}, d); err != nil {
			t.Fatal(err)
		}
	}
	list, err := oci.ParseIndex(f.manifests["a:sha256-"+subject.Digest.Hex()].Data)
	if err != nil || len(list.Manifests) != 2 || list.Manifests[0].ArtifactType != "application/x" || list.Manifests[0].Annotations["n"] != "1" {
		t.Errorf("got %+v, %v", list, err)
	}
	before := f.requests("PUT")
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("OCI-Subject", someDigest)
		return false
	}
	if err := r.PutManifest(t.Context(), f.reference("a:3"), referring("3")); err != nil || f.requests("PUT") != before+1 {
		t.Errorf("got %v and %d requests, want one", err, f.requests("PUT")-before)
	}
}
