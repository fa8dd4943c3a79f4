// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"strings"
	"testing"
	"unicode"

	"strata/internal/oci"
)

func TestRefused(t *testing.T) {
	a := newSample(t, "amd64", "one", "two")
	without := func(i int) []file { f := a.files(); return append(f[:i:i], f[i+1:]...) }
	with := func(i int, content string) []file { f := a.files(); f[i].content = content; return f }
	docker := func(config, layer string, more ...file) []file {
		list := asJSON(t, []dockerImage{{config, []string{"a"}, []string{layer, "2.tar"}}})
		return append([]file{{name: "c.json", content: a.config}, {name: "1.tar", content: a.layers[0]}, {name: "2.tar", content: a.layers[1]}, {name: dockerName, content: list}}, more...)
	}
	big := strings.Repeat(" ", oci.MaxDocument+1)
	otherConfig := strings.Replace(a.config, string(a.diffIDs[0]), string(oci.FromBytes(nil)), 1)
	otherImage := func(config string, layers ...oci.Descriptor) []file {
		m := asJSON(t, oci.NewManifest([]byte(config), layers))
		return layout(t, index(t, withName(describeBlob(oci.MediaTypeManifest, m), "a")), append(a.files(), blobFile(config), blobFile(m))...)
	}
	m, err := oci.ParseManifest([]byte(a.manifest))
	must(t, err)
	artifact := `{"schemaVersion":2,"artifactType":"a/b` + "\\u001b" + `","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` + string(oci.FromBytes([]byte("{}"))) + `","size":2},"layers":[]}`
	var deep []file
	d := a.named("a")
	for range maxDepth + 1 {
		doc := index(t, d)
		deep, d = append(deep, blobFile(doc)), describeBlob(oci.MediaTypeIndex, doc)
	}
	cases := map[string]struct {
		files []file
		want  string
	}{
		"nothing":              {nil, "there are no images in it"},
		"a root filesystem":    {[]file{{name: "etc/passwd", content: "root"}}, "strata import"},
		"index alone":          {[]file{{name: indexName, content: index(t)}}, "there are no images in it"},
		"layout alone":         {layout(t, "")[:1], "there are no images in it"},
		"another version":      {[]file{{name: layoutName, content: `{"imageLayoutVersion":"2.0.0"}`}, {name: indexName, content: index(t)}}, `version "2.0.0" is not supported`},
		"empty index":          {layout(t, index(t)), "it lists no image"},
		"index no JSON":        {layout(t, "{"), "index.json: "},
		"index too big":        {layout(t, big), "index.json: 4194305 bytes"},
		"config missing":       {layout(t, index(t, a.named("a")), without(2)...), `image "a": config: blob ` + string(oci.FromBytes([]byte(a.config))) + ": it is not in the archive"},
		"manifest missing":     {layout(t, index(t, a.named("a")), without(3)...), `image "a": blob ` + string(a.descriptor.Digest) + ": it is not in the archive"},
		"layer missing":        {layout(t, index(t, a.named("a")), without(1)...), "layer " + string(m.Layers[1].Digest) + ": it is not in the archive"},
		"manifest changed":     {layout(t, index(t, a.named("a")), with(3, strings.Replace(a.manifest, "tar", "raT", 1))...), "its content has the digest"},
		"manifest longer":      {layout(t, index(t, a.named("a")), with(3, a.manifest+" ")...), "its descriptor says"},
		"manifest too big":     {layout(t, index(t, withName(describeBlob(oci.MediaTypeManifest, big), "a")), blobFile(big)), "more than the 4194304 allowed"},
		"layer changed":        {layout(t, index(t, a.named("a")), with(0, a.layers[0][:len(a.layers[0])-1]+"x")...), "its content has the digest"},
		"layer longer":         {layout(t, index(t, a.named("a")), with(0, a.layers[0]+"x")...), ""},
		"fewer layers":         {otherImage(a.config, m.Layers[0]), "the manifest has 1 layers and the config 2"},
		"another diffID":       {otherImage(otherConfig, m.Layers...), ""},
		"artifact":             {layout(t, index(t, describeBlob(oci.MediaTypeManifest, artifact)), blobFile(artifact), blobFile("{}")), `it is an artifact of type "a/b\x1b" and not an image`},
		"both":                 {layout(t, index(t, describeBlob(oci.MediaTypeManifest, `{"schemaVersion":2,"manifests":[],"layers":[]}`)), blobFile(`{"schemaVersion":2,"manifests":[],"layers":[]}`)), "both a manifest and an index"},
		"schema 1":             {layout(t, index(t, describeBlob(oci.MediaTypeManifest, `{"schemaVersion":1}`)), blobFile(`{"schemaVersion":1}`)), "schema version 1"},
		"no platform":          {layout(t, index(t, withPlatform(a.descriptor, "s390x\x1b")), a.files()...), `no image for linux/amd64, but for "linux/s390x\x1b"`},
		"only foreign types":   {layout(t, index(t, withType(a.descriptor, "x\ny"))), `it lists no image, but "x\ny"`},
		"nested too deep":      {layout(t, index(t, withName(d, "a")), append(a.files(), deep...)...), "indexes are nested deeper than 4"},
		"docker, no JSON":      {[]file{{name: dockerName, content: "["}}, "manifest.json: "},
		"docker, no list":      {[]file{{name: dockerName, content: `{"schemaVersion":2}`}}, "manifest.json: at byte 1: object is not"},
		"docker, no images":    {[]file{{name: dockerName, content: "[]"}}, "it lists no image"},
		"docker, no config":    {docker("", "1.tar"), "image 1: no config"},
		"docker, lost config":  {docker("x.json", "1.tar"), `image "a": config "x.json": it is not in the archive`},
		"docker, lost layer":   {docker("c.json", "\x1b.tar"), `image "a": layer "\x1b.tar": it is not in the archive`},
		"docker, escape":       {docker("../../../../../../../../etc/passwd", "1.tar"), `config "../../../../../../../../etc/passwd": `},
		"docker, absolute":     {docker("/etc/passwd", "1.tar"), `config "/etc/passwd": `},
		"docker, other layer":  {docker("c.json", "2.tar"), ""},
		"docker, link to none": {docker("c.json", "l", file{name: "l", link: "nowhere"}), `layer "l": it is not in the archive`},
		"docker, link circle":  {docker("c.json", "l", file{name: "l", link: "l"}), `layer "l": `},
		"docker, link out":     {docker("l", "1.tar", file{name: "l", link: "../../../../../../../../etc/passwd"}), `config "l": `},
	}
	for name, c := range cases {
		for way, read := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				_, err := read(t, c.files)
				if err == nil && (name == "another diffID" || name == "docker, other layer") && way != "stream" {
					return // what is in a layer is the store's to see
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %q, want %q", err, c.want)
				}
				if strings.ContainsFunc(err.Error(), unicode.IsControl) {
					t.Errorf("control characters in %q", err)
				}
			})
		}
	}
}
