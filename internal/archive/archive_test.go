// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

var amd64 = oci.Platform{OS: "linux", Architecture: "amd64"}

// file is a member of an archive under test.
type file struct {
	name, content string
	link          string // a symbolic link; with hard set a hard one
	hard          bool
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
			if f.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, f.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

func gzipped(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	must(t, errors.Join(err, z.Close()))
	return b.Bytes()
}

// sample is an image of layers with one file each, the second of them gzipped.
type sample struct {
	config, manifest string
	layers           []string // blobs
	diffIDs          []oci.Digest
	descriptor       oci.Descriptor // of the manifest
}

func newSample(t testing.TB, arch string, names ...string) sample {
	var s sample
	var layers []oci.Descriptor
	for i, name := range names {
		data := tarOf(t, file{name: name, content: name})
		d := oci.Descriptor{MediaType: oci.MediaTypeLayer}
		s.diffIDs = append(s.diffIDs, oci.FromBytes(data))
		if i%2 == 1 {
			data, d.MediaType = gzipped(t, data), oci.MediaTypeLayerGzip
		}
		d.Digest, d.Size = oci.FromBytes(data), int64(len(data))
		layers, s.layers = append(layers, d), append(s.layers, string(data))
	}
	config, err := oci.ImageConfig{Platform: oci.Platform{OS: "linux", Architecture: arch}, RootFS: oci.RootFS{DiffIDs: s.diffIDs}}.Document()
	must(t, err)
	s.config, s.manifest = string(config), asJSON(t, oci.NewManifest(config, layers))
	s.descriptor = describeBlob(oci.MediaTypeManifest, s.manifest)
	return s
}

func describeBlob(mediaType, content string) oci.Descriptor {
	return oci.Descriptor{MediaType: mediaType, Digest: oci.FromBytes([]byte(content)), Size: int64(len(content))}
}

func blobFile(content string) file {
	return file{name: blobName(oci.FromBytes([]byte(content))), content: content}
}

// files are the blobs of an image.
func (s sample) files() (files []file) {
	for _, l := range s.layers {
		files = append(files, blobFile(l))
	}
	return append(files, blobFile(s.config), blobFile(s.manifest))
}

// named is the image's descriptor in index.json.
func (s sample) named(name string) oci.Descriptor {
	d := s.descriptor
	if name != "" {
		d.Annotations = map[string]string{refNameAnnotation: name}
	}
	return d
}

func index(t testing.TB, manifests ...oci.Descriptor) string {
	return asJSON(t, oci.Index{SchemaVersion: 2, Manifests: append([]oci.Descriptor{}, manifests...)})
}

// layout are the files of an OCI layout.
func layout(t testing.TB, index string, more ...file) []file {
	return append([]file{{name: layoutName, content: string(layoutDocument)}, {name: indexName, content: index}}, more...)
}

// ways are the ways to read an archive; each gives the images and reads their
// layers.
var ways = map[string]func(t testing.TB, files []file) ([]Image, error){
	"file": func(t testing.TB, files []file) ([]Image, error) {
		data := tarOf(t, files...)
		r, err := Open(bytes.NewReader(data), int64(len(data)))
		return readAll(r, err)
	},
	"stream": func(t testing.TB, files []file) ([]Image, error) {
		r, err := ReadStream(context.Background(), bytes.NewReader(tarOf(t, files...)), take)
		return readAll(r, err)
	},
	"directory": func(t testing.TB, files []file) ([]Image, error) {
		dir := t.TempDir()
		for _, f := range files {
			path := filepath.Join(dir, f.name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			switch {
			case f.hard:
				must(t, os.Link(filepath.Join(dir, f.link), path))
			case f.link != "":
				must(t, os.Symlink(f.link, path))
			default:
				must(t, os.WriteFile(path, []byte(f.content), 0o644))
			}
		}
		r, err := OpenDir(dir)
		return readAll(r, err)
	},
}

// take is what an engine does of a layer, without a store.
func take(_ context.Context, blob io.Reader, d oci.Descriptor, diffID oci.Digest) (Taken, error) {
	data, err := io.ReadAll(blob)
	if err != nil {
		return Taken{}, err
	}
	taken := Taken{Blob: oci.FromBytes(data), DiffID: oci.FromBytes(data)}
	if d.MediaType == oci.MediaTypeLayerGzip {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return taken, err
		}
		content, err := io.ReadAll(z)
		if err != nil {
			return taken, err
		}
		taken.DiffID = oci.FromBytes(content)
	}
	if diffID != "" && diffID != taken.DiffID {
		return taken, fmt.Errorf("the archive has the digest %s", taken.DiffID)
	}
	if d.Digest != "" && d.Digest != taken.Blob {
		return taken, fmt.Errorf("its content has the digest %s", taken.Blob)
	}
	return taken, nil
}

// readAll lists the images and reads every layer that can be read, which a stream's
// cannot any more.
func readAll(r *Reader, err error) ([]Image, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	images, err := r.Images(amd64)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		m, err := oci.ParseManifest(img.Manifest)
		if err != nil {
			return nil, err
		}
		for _, d := range m.Layers {
			if err := readLayer(r, d); err != nil {
				return nil, err
			}
		}
	}
	return images, nil
}

func readLayer(r *Reader, d oci.Descriptor) error {
	f, err := r.Layer(context.Background(), d)
	if s, ok := r.members.(*streamMembers); ok && err != nil {
		for _, l := range s.layers {
			if l.taken.Blob == d.Digest {
				return nil
			}
		}
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if got := oci.FromBytes(data); err == nil && got != d.Digest {
		err = fmt.Errorf("layer %s: its content has the digest %s", d.Digest, got)
	}
	return errors.Join(err, f.Close())
}

// found is what a case expects of an image.
type found struct {
	Config, Manifest string // "" for any
	Names            []string
}

func foundIn(images []Image, want []found) (all []found) {
	for i, img := range images {
		f := found{string(img.Config), string(img.Manifest), nil}
		for _, n := range img.Names {
			f.Names = append(f.Names, n.Familiar())
		}
		if i < len(want) && want[i].Manifest == "" {
			f.Manifest = ""
		}
		all = append(all, f)
	}
	return all
}

func TestRead(t *testing.T) {
	a, b := newSample(t, "amd64", "one", "two", "three"), newSample(t, "arm64", "one", "four")
	both := append(a.files(), b.files()...)
	platforms := index(t, withPlatform(b.descriptor, "arm64"), withPlatform(a.descriptor, "amd64"))
	nested := index(t, describeBlob(oci.MediaTypeIndex, platforms))
	docker := asJSON(t, []dockerImage{{"c.json", []string{"debian:12", "debian:bookworm"}, []string{"1/layer.tar", "2/layer.tar", "3/layer.tar"}}})
	dockerFiles := []file{
		{name: "1/layer.tar", content: a.layers[0]}, {name: "2/layer.tar", content: a.layers[1]}, {name: "3/layer.tar", content: a.layers[2]},
		{name: "c.json", content: a.config}, {name: dockerName, content: docker},
	}
	onlyA := []found{{a.config, a.manifest, []string{"a:latest"}}}
	cases := map[string]struct {
		files []file
		want  []found
	}{
		"layout":            {layout(t, index(t, a.named("a")), a.files()...), onlyA},
		"documents last":    {append(a.files(), layout(t, index(t, a.named("a")))...), onlyA},
		"two images":        {layout(t, index(t, a.named("a"), b.named("x/b:1")), both...), []found{onlyA[0], {b.config, b.manifest, []string{"x/b:1"}}}},
		"two names":         {layout(t, index(t, a.named("a"), a.named("quay.io/b:1")), a.files()...), []found{{a.config, a.manifest, []string{"a:latest", "quay.io/b:1"}}}},
		"no name":           {layout(t, index(t, a.named("")), a.files()...), []found{{a.config, a.manifest, nil}}},
		"no platform fits":  {layout(t, index(t, withPlatform(b.named("b"), "arm64")), b.files()...), []found{{b.config, b.manifest, []string{"b:latest"}}}},
		"name appended":     {layout(t, index(t, b.named("a"), a.named("a")), both...), onlyA},
		"name by platform":  {layout(t, index(t, withPlatform(a.named("a"), "amd64"), withPlatform(b.named("a"), "arm64")), both...), onlyA},
		"list of platforms": {layout(t, platforms, both...), []found{{a.config, a.manifest, nil}}},
		"nested index":      {layout(t, index(t, withName(describeBlob(oci.MediaTypeIndex, platforms), "a")), append(both, blobFile(platforms))...), onlyA},
		"index in an index": {layout(t, index(t, withName(describeBlob(oci.MediaTypeIndex, nested), "a")), append(both, blobFile(platforms), blobFile(nested))...), onlyA},
		"no media type":     {layout(t, index(t, withType(a.named("a"), "")), a.files()...), onlyA},
		"foreign types":     {layout(t, index(t, oci.Descriptor{MediaType: "application/xml", Digest: oci.FromBytes(nil)}, a.named("a")), a.files()...), onlyA},
		"containerd's name": {layout(t, index(t, oci.Descriptor{MediaType: a.descriptor.MediaType, Digest: a.descriptor.Digest, Size: a.descriptor.Size,
			Annotations: map[string]string{refNameAnnotation: "latest", imageNameAnnotation: "docker.io/library/a:latest"}}), a.files()...), onlyA},
		"name of a digest": {layout(t, index(t, a.named("a@"+string(a.descriptor.Digest))), a.files()...), []found{{a.config, a.manifest, nil}}},
		"tag and digest":   {layout(t, index(t, a.named("a:1@"+string(b.descriptor.Digest))), a.files()...), []found{{a.config, a.manifest, []string{"a:1"}}}},
		"no reference":     {layout(t, index(t, a.named("\x1b[31mA")), a.files()...), []found{{a.config, a.manifest, nil}}},
		"annotation elsewhere": {layout(t, index(t, describeBlob(oci.MediaTypeIndex, index(t, a.named("hidden")))), append(a.files(), blobFile(index(t, a.named("hidden"))))...),
			[]found{{a.config, a.manifest, nil}}},
		"layout before docker": {append(layout(t, index(t, a.named("a")), both...), file{name: dockerName, content: "nonsense"}), onlyA},
		"dot names":            {[]file{{name: "./" + layoutName, content: string(layoutDocument)}, {name: "./x/../" + indexName, content: index(t, a.named("a"))}, dotted(a.files()[0]), dotted(a.files()[1]), dotted(a.files()[2]), dotted(a.files()[3]), dotted(a.files()[4])}, onlyA},
		"docker":               {dockerFiles, []found{{a.config, a.manifest, []string{"debian:12", "debian:bookworm"}}}},
		"docker backwards":     {reversed(dockerFiles), []found{{a.config, a.manifest, []string{"debian:12", "debian:bookworm"}}}},
		"docker, blobs": {append(a.files(), file{name: dockerName, content: asJSON(t, []dockerImage{{blobName(oci.FromBytes([]byte(a.config))), nil, []string{blobName(oci.FromBytes([]byte(a.layers[0]))), blobName(oci.FromBytes([]byte(a.layers[1]))), blobName(oci.FromBytes([]byte(a.layers[2])))}}})}),
			[]found{{a.config, a.manifest, nil}}},
		"docker, link replaced": {append([]file{{name: "1/layer.tar", link: "2/layer.tar", hard: true}}, dockerFiles...),
			[]found{{a.config, a.manifest, []string{"debian:12", "debian:bookworm"}}}},
		"docker, symbolic link": {append([]file{{name: "0/layer.tar", content: a.layers[0]}, {name: "1/layer.tar", link: "../0/layer.tar"}}, dockerFiles[1:]...),
			[]found{{a.config, a.manifest, []string{"debian:12", "debian:bookworm"}}}},
		"docker, hard link": {append([]file{{name: "0/layer.tar", content: a.layers[0]}, {name: "1/layer.tar", link: "0/layer.tar", hard: true}}, dockerFiles[1:]...),
			[]found{{a.config, a.manifest, []string{"debian:12", "debian:bookworm"}}}},
	}
	for name, c := range cases {
		for way, read := range ways {
			if way == "directory" && name == "docker, link replaced" {
				continue // it has no two files of one name
			}
			t.Run(name+"/"+way, func(t *testing.T) {
				images, err := read(t, c.files)
				must(t, err)
				if diff := cmp.Diff(c.want, foundIn(images, c.want)); diff != "" {
					t.Errorf("images (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func withPlatform(d oci.Descriptor, arch string) oci.Descriptor {
	d.Platform = &oci.Platform{OS: "linux", Architecture: arch}
	return d
}

func withName(d oci.Descriptor, name string) oci.Descriptor {
	d.Annotations = map[string]string{refNameAnnotation: name}
	return d
}

func withType(d oci.Descriptor, mediaType string) oci.Descriptor {
	d.MediaType = mediaType
	return d
}

func dotted(f file) file {
	f.name = "./" + f.name
	return f
}

func reversed(files []file) (all []file) {
	for i := range files {
		all = append(all, files[len(files)-1-i])
	}
	return all
}

// All ways make the same manifest of an archive that has none.
func TestDockerManifest(t *testing.T) {
	a := newSample(t, "amd64", "one", "two")
	files := []file{
		{name: "c.json", content: a.config}, {name: "1.tar", content: a.layers[0]}, {name: "2.tar", content: a.layers[1]},
		{name: dockerName, content: asJSON(t, []dockerImage{{"c.json", nil, []string{"1.tar", "2.tar"}}})},
	}
	for way, read := range ways {
		images, err := read(t, files)
		must(t, err)
		if got := string(images[0].Manifest); got != a.manifest {
			t.Errorf("%s: the manifest is\n%s\nwant\n%s", way, got, a.manifest)
		}
	}
}

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

// A layer of another size is refused before it is read.
func TestLayerSize(t *testing.T) {
	a := newSample(t, "amd64", "one")
	r, err := openFiles(t, layout(t, index(t, a.named("a")), a.files()...))
	must(t, err)
	d := describeBlob(oci.MediaTypeLayer, a.layers[0])
	d.Size++
	if _, err := r.Layer(context.Background(), d); err == nil || !strings.Contains(err.Error(), "the manifest says") {
		t.Errorf("%v", err)
	}
}

// An archive that is cut off anywhere is refused, and no panic.
func TestCutOff(t *testing.T) {
	a := newSample(t, "amd64", "one", "two")
	data := tarOf(t, append(a.files(), layout(t, index(t, a.named("a")))...)...)
	whole := len(data) - 3*tarBlock // what is missing behind the last content is zeros
	for n := 0; n < whole; n += 100 {
		if _, err := readAll(Open(bytes.NewReader(data[:n]), int64(n))); err == nil {
			t.Errorf("a file of %d of %d bytes is read", n, len(data))
		}
		if _, err := readAll(ReadStream(context.Background(), bytes.NewReader(data[:n]), take)); err == nil {
			t.Errorf("a stream of %d of %d bytes is read", n, len(data))
		}
	}
}

// Only what is wrong with a layer that an image has makes a stream fail, but what
// is wrong with the machine does at once.
func TestStreamErrors(t *testing.T) {
	a := newSample(t, "amd64", "one", "two")
	rubbish := file{name: "usr/share/man/x.gz", content: "\x1f\x8b\x08 is no gzip"}
	data := tarOf(t, append([]file{rubbish}, append(a.files(), layout(t, index(t, a.named("a")))...)...)...)
	if _, err := readAll(ReadStream(context.Background(), bytes.NewReader(data), take)); err != nil {
		t.Error(err)
	}
	full := &os.PathError{Op: "write", Path: "layer", Err: syscallENOSPC}
	taken := 0
	_, err := ReadStream(context.Background(), bytes.NewReader(data), func(context.Context, io.Reader, oci.Descriptor, oci.Digest) (Taken, error) {
		taken++
		return Taken{}, full
	})
	if !errors.Is(err, syscallENOSPC) || taken != 1 {
		t.Errorf("error %v after %d layers", err, taken)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = ReadStream(ctx, bytes.NewReader(data), func(context.Context, io.Reader, oci.Descriptor, oci.Digest) (Taken, error) {
		cancel()
		return Taken{}, errors.New("whatever")
	})
	if err == nil {
		t.Error("a stream is read on after it was given up")
	}
}

// Documents that come first say what diffIDs the layers have.
func TestHints(t *testing.T) {
	a := newSample(t, "amd64", "one", "two")
	blobs := a.files()
	docker := asJSON(t, []dockerImage{{"c.json", nil, []string{"1.tar", "2.tar"}}})
	cases := map[string][]file{
		"manifest first": {blobs[3], blobs[2], blobs[0], blobs[1]},
		"config first":   {blobs[2], blobs[3], blobs[0], blobs[1]},
		"docker":         {{name: "c.json", content: a.config}, {name: dockerName, content: docker}, {name: "1.tar", content: a.layers[0]}, {name: "2.tar", content: a.layers[1]}},
	}
	for name, files := range cases {
		var got []oci.Digest
		_, err := ReadStream(context.Background(), bytes.NewReader(tarOf(t, files...)), func(_ context.Context, _ io.Reader, _ oci.Descriptor, diffID oci.Digest) (Taken, error) {
			got = append(got, diffID)
			return Taken{}, nil
		})
		must(t, err)
		if diff := cmp.Diff(a.diffIDs, got); diff != "" {
			t.Errorf("%s: diffIDs (-want +got):\n%s", name, diff)
		}
	}
}

// Names and members have bounds.
func TestBounds(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range maxMembers + 1 {
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeDir}))
	}
	must(t, w.Close())
	if _, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil || !strings.Contains(err.Error(), "members allowed") {
		t.Errorf("file: %v", err)
	}
	if _, err := ReadStream(context.Background(), &b, take); err == nil || !strings.Contains(err.Error(), "members allowed") {
		t.Errorf("stream: %v", err)
	}
	a := newSample(t, "amd64", "one")
	long := strings.Repeat("n/", maxName)
	files := append(layout(t, index(t, a.named("a")), a.files()...), file{name: long + "x", content: "x"}, file{name: "l", link: long})
	for _, way := range []string{"file", "stream"} {
		if _, err := ways[way](t, files); err != nil {
			t.Errorf("%s: %v", way, err)
		}
	}
}

// A member with holes is refused as a file and read as a stream.
func TestSparse(t *testing.T) {
	data, err := os.ReadFile("testdata/sparse.tar")
	must(t, err)
	if _, err := Open(bytes.NewReader(data), int64(len(data))); !errors.Is(err, ErrSparse) {
		t.Errorf("file: %v", err)
	}
	if _, err := ReadStream(context.Background(), bytes.NewReader(data), take); err != nil {
		t.Errorf("stream: %v", err)
	}
}

// A FIFO in a directory is refused and not waited for.
func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	must(t, mkfifo(filepath.Join(dir, layoutName)))
	if _, err := readAll(OpenDir(dir)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
}
