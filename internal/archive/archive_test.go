// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

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
		"index appended":    {append(layout(t, index(t, b.named("b")), append(a.files(), file{name: blobName(a.descriptor.Digest), content: "changed"})...), file{name: indexName, content: index(t, a.named("a"))}, a.files()[4]), onlyA},
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
	var layers []file
	for i := range maxBlobs + 1 {
		layers = append(layers, file{name: fmt.Sprint(i), content: "\x1f\x8b\x08"})
	}
	if _, err := ReadStream(context.Background(), bytes.NewReader(tarOf(t, layers...)), take); err == nil || !strings.Contains(err.Error(), "layers allowed") {
		t.Errorf("layers: %v", err)
	}
	config := a.config + strings.Repeat(" ", oci.MaxDocument-len(a.config))
	var list []oci.Descriptor
	files := []file{blobFile(config)}
	for i := range maxParsed/oci.MaxDocument + 1 {
		m := oci.NewManifest([]byte(config), nil)
		m.Annotations = map[string]string{"n": fmt.Sprint(i)}
		m.Layers = []oci.Descriptor{describeBlob(oci.MediaTypeLayer, a.layers[0])}
		doc := asJSON(t, m)
		files, list = append(files, blobFile(doc)), append(list, describeBlob(oci.MediaTypeManifest, doc))
	}
	if _, err := readAll(openFiles(t, layout(t, index(t, list...), files...))); err == nil || !strings.Contains(err.Error(), "bytes allowed") {
		t.Errorf("one config for many images: %v", err)
	}
	long := strings.Repeat("n/", maxName)
	files = append(layout(t, index(t, a.named("a")), a.files()...), file{name: long + "x", content: "x"}, file{name: "l", link: long})
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
