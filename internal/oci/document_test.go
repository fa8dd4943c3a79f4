// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

const (
	configDescriptor = `{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + sum1 + `","size":7}`
	layerDescriptor  = `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + sum2 + `","size":9}`
	manifest         = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":` + configDescriptor + `,"layers":[` + layerDescriptor + `]}`
)

func TestParseManifest(t *testing.T) {
	m, err := oci.ParseManifest([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	want := oci.Manifest{
		SchemaVersion: 2, MediaType: oci.MediaTypeManifest,
		Config: oci.Descriptor{MediaType: oci.MediaTypeConfig, Digest: sum1, Size: 7},
		Layers: []oci.Descriptor{{MediaType: oci.MediaTypeLayerGzip, Digest: sum2, Size: 9}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	for name, other := range map[string]string{
		"Docker's":             strings.Replace(manifest, oci.MediaTypeManifest, oci.MediaTypeDockerManifest, 1),
		"without a media type": strings.Replace(manifest, `"mediaType":"application/vnd.oci.image.manifest.v1+json",`, "", 1),
	} {
		if _, err := oci.ParseManifest([]byte(other)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseManifestRefuses(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(manifest, old, new, 1) }
	for name, c := range map[string]struct{ document, want string }{
		"nothing":            {"", "unexpected end"},
		"null":               {"null", "schema version 0"},
		"two documents":      {manifest + manifest, "after top-level value"},
		"both kinds":         {replace(`"layers"`, `"manifests":[],"layers"`), "both a manifest and an index (CVE-2021-41190)"},
		"an index":           {`{"schemaVersion":2,"manifests":[]}`, "it is not a manifest"},
		"an index's type":    {replace(oci.MediaTypeManifest, oci.MediaTypeIndex), `media type "application/vnd.oci.image.index.v1+json"`},
		"schema 1":           {`{"schemaVersion":1,"fsLayers":[]}`, "schema version 1 is not supported"},
		"schema 3":           {replace(`:2`, `:3`), "schema version 3, not 2"},
		"negative layer":     {replace(`"size":9`, `"size":-9`), "layer 1: " + sum2 + ": negative size -9"},
		"negative config":    {replace(`"size":7`, `"size":-1`), "config: " + sum1 + ": negative size"},
		"huge size":          {replace(`"size":7`, `"size":1e30`), "parse manifest: json"},
		"no config":          {`{"schemaVersion":2,"layers":[]}`, "config: no digest"},
		"no layer digest":    {replace(`"digest":"`+sum2+`",`, ""), "layer 1: no digest"},
		"a path as a digest": {replace(sum2, "sha256:../../../etc/passwd"), "not a digest"},
		"upper-case digest":  {replace(sum2, strings.ToUpper(sum2)), "not a digest"},
		"too large":          {strings.Repeat(" ", oci.MaxDocument) + manifest, "more than the 4194304 allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oci.ParseManifest([]byte(c.document))
			wantError(t, err, "parse manifest: ")
			wantError(t, err, c.want)
		})
	}
}

func TestNewManifest(t *testing.T) {
	data, err := json.Marshal(oci.NewManifest([]byte("{}"), nil))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",` +
		`"digest":"` + string(oci.FromBytes([]byte("{}"))) + `","size":2},"layers":[]}`
	if string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}

func TestIndexSelect(t *testing.T) {
	platform := func(digest byte, fields string) string {
		return `{"digest":"sha256:` + strings.Repeat(string(digest), 64) + `","size":1,"platform":{"os":"linux",` + fields + `}}`
	}
	document := `{"schemaVersion":2,"mediaType":"` + oci.MediaTypeDockerIndex + `","manifests":[` + strings.Join([]string{
		`{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + sum1 + `","size":1}`,
		platform('1', `"architecture":"arm","variant":"v6"`),
		platform('2', `"architecture":"arm","variant":"v7"`),
		platform('3', `"architecture":"arm64","variant":"v8"`),
		platform('4', `"architecture":"amd64"`),
		platform('5', `"architecture":"amd64"`),
		platform('6', `"architecture":"amd64","variant":"v2"`),
	}, ",") + `]}`
	index, err := oci.ParseIndex([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]oci.Platform{
		"1": {OS: "linux", Architecture: "arm", Variant: "v6"},
		"2": {OS: "linux", Architecture: "arm"},
		"3": {OS: "linux", Architecture: "arm64"},
		"4": {OS: "linux", Architecture: "amd64"}, // the first of two
		"6": {OS: "linux", Architecture: "amd64", Variant: "v2"},
		"":  {OS: "linux", Architecture: "s390x"},
	} {
		d, ok := index.Select(p)
		if ok != (want != "") || !strings.HasPrefix(d.Digest.Hex(), want) {
			t.Errorf("%+v: got %s, %v, want %s", p, d.Digest, ok, want)
		}
	}
}

func TestParseIndexRefuses(t *testing.T) {
	for name, c := range map[string]struct{ document, want string }{
		"a manifest":    {manifest, "it is not an index"},
		"both kinds":    {`{"schemaVersion":2,"manifests":[],"config":{}}`, "CVE-2021-41190"},
		"negative size": {`{"schemaVersion":2,"manifests":[{"digest":"` + sum1 + `","size":-1}]}`, "manifest 1: " + sum1 + ": negative size -1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oci.ParseIndex([]byte(c.document))
			wantError(t, err, "parse index: ")
			wantError(t, err, c.want)
		})
	}
}

func TestCompression(t *testing.T) {
	for mediaType, want := range map[string]oci.Compression{
		oci.MediaTypeLayer: oci.Uncompressed, oci.MediaTypeDockerLayer: oci.Uncompressed,
		oci.MediaTypeLayerGzip: oci.Gzip, oci.MediaTypeDockerLayerGzip: oci.Gzip, oci.MediaTypeLayerZstd: oci.Zstd,
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": oci.Gzip,
	} {
		if got, err := (oci.Descriptor{MediaType: mediaType}).Compression(); got != want || err != nil {
			t.Errorf("%s: got %v, %v", mediaType, got, err)
		}
	}
	_, err := oci.Descriptor{MediaType: "text/plain", Digest: sum1}.Compression()
	wantError(t, err, `layer `+sum1+`: unknown media type "text/plain"`)
}

const config = `{"created":"2026-01-02T03:04:05Z","author":"me","architecture":"amd64","os":"linux",` +
	`"config":{"User":"1000","ExposedPorts":{"80/tcp":{}},"Env":["A=1"],"Entrypoint":["/e"],"Cmd":["c"],` +
	`"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000},"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"k":"v"},` +
	`"OnBuild":["RUN x"],"StopSignal":"SIGINT","StopTimeout":3,"Shell":["/bin/bash","-c"]},` +
	`"rootfs":{"type":"layers","diff_ids":["` + sum1 + `","` + sum2 + `"]},` +
	`"history":[{"created_by":"a"},{"created_by":"ENV x","empty_layer":true},{"comment":"b"}]}`

func TestConfigRoundTrip(t *testing.T) {
	c, err := oci.ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.Healthcheck.Interval != time.Second || c.Architecture != "amd64" || len(c.RootFS.DiffIDs) != 2 {
		t.Errorf("parsed %+v", c)
	}
	data, err := c.Document()
	if err != nil || string(data) != config {
		t.Errorf("got %s, %v, want %s", data, err, config)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(config, old, new, 1) }
	for name, c := range map[string]struct{ document, want string }{
		"nothing":      {"", "unexpected end"},
		"null":         {"null", `rootfs type ""`},
		"rootfs":       {replace(`"layers"`, `"tree"`), `rootfs type "tree", not "layers"`},
		"digest":       {replace(sum1, "sha256:.."), "not a digest"},
		"empty digest": {replace(`"`+sum1+`"`, "null"), "layer 1: no digest"},
		"more history": {replace(`,"empty_layer":true`, ""), "the history has 3 layers and rootfs has 2"},
		"less history": {replace(`{"comment":"b"}`, `{"comment":"b","empty_layer":true}`), "the history has 1 layers and rootfs has 2"},
		"too large":    {strings.Repeat(" ", oci.MaxDocument) + config, "more than the"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oci.ParseConfig([]byte(c.document))
			wantError(t, err, "parse config: ")
			wantError(t, err, c.want)
		})
	}
}

func TestConfigAppend(t *testing.T) {
	bare := oci.ImageConfig{RootFS: oci.RootFS{DiffIDs: []oci.Digest{sum1}}}
	one := bare.Append(sum2, oci.History{CreatedBy: "first", EmptyLayer: true})
	two := one.Append(sum1, oci.History{CreatedBy: "second"})
	other := one.Append(sum2, oci.History{CreatedBy: "other"})
	if len(bare.RootFS.DiffIDs) != 1 || len(one.RootFS.DiffIDs) != 2 || two.RootFS.DiffIDs[2] != sum1 || other.RootFS.DiffIDs[2] != sum2 {
		t.Errorf("got %v, %v, %v, %v", bare.RootFS, one.RootFS, two.RootFS, other.RootFS)
	}
	want := []oci.History{{}, {CreatedBy: "first"}, {CreatedBy: "second"}}
	if diff := cmp.Diff(want, two.History); diff != "" {
		t.Error(diff)
	}
	data, err := two.Document()
	if err == nil {
		_, err = oci.ParseConfig(data)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestChainID(t *testing.T) {
	chain := oci.FromBytes([]byte(sum1 + " " + sum2))
	for _, c := range []struct {
		diffIDs []oci.Digest
		want    oci.Digest
	}{
		{nil, ""},
		{[]oci.Digest{sum1}, sum1},
		{[]oci.Digest{sum1, sum2}, chain},
		{[]oci.Digest{sum1, sum2, sum1}, oci.FromBytes([]byte(string(chain) + " " + sum1))},
	} {
		if got := oci.ChainID(c.diffIDs); got != c.want {
			t.Errorf("%v: got %s, want %s", c.diffIDs, got, c.want)
		}
	}
}

func TestDigest(t *testing.T) {
	d, err := oci.ParseDigest(sum1)
	if err != nil || d.Hex() != sum1[7:] || d.Short() != "0123456789ab" || d.String() != sum1 {
		t.Errorf("got %q, %v", d, err)
	}
	if got := oci.FromBytes(nil); got != "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("digest of nothing: %s", got)
	}
	if got := oci.Digest("").Short(); got != "" {
		t.Errorf("short form of no digest: %q", got)
	}
}

func FuzzDigest(f *testing.F) {
	for _, seed := range []string{sum1, "", "sha256:", "sha256:..", strings.ToUpper(sum1), sum1 + "0", sum1[:70], "md5:" + sum1[7:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := oci.ParseDigest(s)
		plain := len(s) == 71 && strings.HasPrefix(s, "sha256:") && strings.Trim(s[7:], "0123456789abcdef") == ""
		if plain != (err == nil) || err == nil && string(d) != s {
			t.Errorf("%q: got %q, %v", s, d, err)
		}
		var u oci.Digest
		if err2 := u.UnmarshalText([]byte(s)); (err2 == nil) != (err == nil) || u != d {
			t.Errorf("%q: unmarshalled %q, %v", s, u, err2)
		}
	})
}

// What a parser takes has no digest that is unsafe as a file name and no size
// below zero, and says the same after a round trip.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{manifest, "null", `{"schemaVersion":2,"config":{},"layers":null}`, strings.Replace(manifest, `"size":9`, `"Size":-9`, 1)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := oci.ParseManifest(data)
		if err != nil {
			wantError(t, err, "parse manifest: ")
			return
		}
		for _, d := range append(m.Layers, m.Config) {
			if _, err := oci.ParseDigest(string(d.Digest)); err != nil || d.Size < 0 {
				t.Errorf("%q: descriptor %+v", data, d)
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := oci.ParseManifest(again); err != nil {
			t.Errorf("%q, written as %q: %v", data, again, err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + layerDescriptor + `]}`))
	f.Add([]byte(manifest))
	f.Fuzz(func(t *testing.T, data []byte) {
		index, err := oci.ParseIndex(data)
		if err != nil {
			wantError(t, err, "parse index: ")
			return
		}
		if _, err := oci.ParseManifest(data); err == nil {
			t.Errorf("%q is a manifest too", data)
		}
		for _, d := range index.Manifests {
			if _, err := oci.ParseDigest(string(d.Digest)); err != nil || d.Size < 0 {
				t.Errorf("%q: descriptor %+v", data, d)
			}
		}
	})
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{config, "null", "{}", `{"rootfs":{"type":"layers"}}`, `{"rootfs":{"type":"layers","diff_ids":[""]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := oci.ParseConfig(data)
		if err != nil {
			wantError(t, err, "parse config: ")
			return
		}
		document, err := c.Document()
		if err != nil {
			t.Fatal(err)
		}
		again, err := oci.ParseConfig(document)
		if err != nil {
			t.Fatalf("%q, written as %q: %v", data, document, err)
		}
		for _, id := range again.RootFS.DiffIDs {
			if _, err := oci.ParseDigest(string(id)); err != nil {
				t.Error(err)
			}
		}
	})
}
