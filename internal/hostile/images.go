// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// An Image is one image and what must come of taking it in.
type Image struct {
	Name   string
	Layers int               // how many it has; 0 is one
	Change func(d *Document) // what is wrong with it
	Err    string            // in the message with which it is refused; "" for one that is taken
}

// A Document is an image as it is sent. Change may set any of it; the manifest is
// made from the other parts before, and the config's and layers' descriptors are
// made again after a change of the config or a blob only where Again is called.
type Document struct {
	Manifest, Config map[string]any
	RawManifest      []byte            // in place of Manifest, unless nil
	RawConfig        []byte            // in place of Config, unless nil
	Blobs            map[string][]byte // of layers, by digest
}

// Documents are the image's manifest and config, and its layers' blobs by digest.
func (i Image) Documents() (manifest, config []byte, blobs map[string][]byte) {
	d := &Document{Blobs: map[string][]byte{}}
	var layers, diffIDs []any
	for n := range max(i.Layers, 1) {
		archive := packed(File(fmt.Sprint("file", n), "x"))
		layers, diffIDs = append(layers, d.Blob(gzipped(archive), layerGzip)), append(diffIDs, digest(archive))
	}
	d.Config = map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}}
	d.Manifest = map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": layers}
	d.Describe()
	if i.Change != nil {
		i.Change(d)
	}
	manifest, config = d.RawManifest, d.RawConfig
	if config == nil {
		config = document(d.Config)
	}
	if manifest == nil {
		manifest = document(d.Manifest)
	}
	return manifest, config, d.Blobs
}

// Blob adds a layer's blob and returns its descriptor.
func (d *Document) Blob(content []byte, mediaType string) map[string]any {
	d.Blobs[digest(content)] = content
	return descriptor(mediaType, content)
}

// Describe has the manifest name the config as it is.
func (d *Document) Describe() {
	config := d.RawConfig
	if config == nil {
		config = document(d.Config)
	}
	d.Manifest["config"] = descriptor("application/vnd.oci.image.config.v1+json", config)
}

// layer is the descriptor of the first layer, which may be changed.
func (d *Document) layer() map[string]any { return d.Manifest["layers"].([]any)[0].(map[string]any) }

// rootfs is the config's, which may be changed; Describe goes after that.
func (d *Document) rootfs() map[string]any { return d.Config["rootfs"].(map[string]any) }

// only makes the image one of a single layer, whose blob holds the archive.
func (d *Document) only(blob, archive []byte, mediaType string) {
	d.Manifest["layers"] = []any{d.Blob(blob, mediaType)}
	d.rootfs()["diff_ids"] = []any{digest(archive)}
	d.Describe()
}

const (
	layerTar  = "application/vnd.oci.image.layer.v1.tar"
	layerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	layerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
)

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func document(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func gzipped(content ...[]byte) []byte {
	var out bytes.Buffer
	for _, member := range content {
		w := gzip.NewWriter(&out)
		w.Write(member) // to memory, which cannot fail
		w.Close()
	}
	return out.Bytes()
}

func zstandard(content ...[]byte) (out []byte) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	for _, frame := range content {
		out = w.EncodeAll(frame, out)
	}
	return out
}

// good is an archive that can be applied.
func good() []byte { return packed(File("good", strings.Repeat("good", 1000))) }

// gzipBomb is a gzip stream of an archive of a file of size zeros.
func gzipBomb(size int64) (blob, sum []byte) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), zeros(size)); err != nil {
		panic(err)
	}
	w.Close()
	return out.Bytes(), hash.Sum(nil)
}

// Images are all of them.
func Images() []Image {
	return slices.Concat(wrongDigests, documents, kinds, compressed)
}

var wrongDigests = []Image{
	{Name: "as it should be"},
	{Name: "five layers", Layers: 5},
	{Name: "500 layers", Layers: 500},
	{Name: "501 layers", Layers: 501, Err: "501 layers, 0 of them to complete others: the kernel stacks at most 500"},
	{Name: "zero layers", Change: func(d *Document) {
		d.Manifest["layers"], d.rootfs()["diff_ids"] = []any{}, []any{}
		d.Describe()
	}},
	{Name: "one layer twice", Change: func(d *Document) {
		l := d.layer()
		d.Manifest["layers"], d.rootfs()["diff_ids"] = []any{l, l}, []any{d.rootfs()["diff_ids"].([]any)[0], d.rootfs()["diff_ids"].([]any)[0]}
		d.Describe()
	}},
	{Name: "wrong diffID", Change: func(d *Document) {
		d.rootfs()["diff_ids"] = []any{digest([]byte("another"))}
		d.Describe()
	}, Err: "the archive has the digest"},
	{Name: "wrong digest of a layer", Change: func(d *Document) {
		blob := d.Blobs[d.layer()["digest"].(string)]
		d.layer()["digest"] = digest([]byte("another"))
		d.Blobs[digest([]byte("another"))] = blob
	}, Err: "its content has the digest"},
	{Name: "wrong digest of the config", Change: func(d *Document) { d.Config["author"] = "somebody" }, Err: "config"},
	{Name: "layer that is too long", Change: func(d *Document) {
		name := d.layer()["digest"].(string)
		d.Blobs[name] = append(slices.Clone(d.Blobs[name]), "more"...)
	}, Err: "it is longer than"},
	{Name: "layer that is too short", Change: func(d *Document) {
		name := d.layer()["digest"].(string)
		d.Blobs[name] = d.Blobs[name][:50]
	}, Err: "it ends after 50 of"},
	{Name: "layer that is not there", Change: func(d *Document) { clear(d.Blobs) }, Err: "no such blob"},
	{Name: "negative size", Change: func(d *Document) { d.layer()["size"] = -1 }, Err: "negative size -1"},
	{Name: "size beyond 64 bits", Change: func(d *Document) { d.layer()["size"] = json.Number("99999999999999999999") }, Err: "parse manifest"},
	{Name: "digest with a path", Change: func(d *Document) { d.layer()["digest"] = "sha256:../../../../etc/passwd" }, Err: "parse manifest"},
	{Name: "digest in capitals", Change: func(d *Document) { d.layer()["digest"] = strings.ToUpper(d.layer()["digest"].(string)) }, Err: "parse manifest"},
	{Name: "digest of another algorithm", Change: func(d *Document) { d.layer()["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e" }, Err: "parse manifest"},
	{Name: "no digest", Change: func(d *Document) { delete(d.layer(), "digest") }, Err: "parse manifest"},
	{Name: "diffID with a path", Change: func(d *Document) {
		d.rootfs()["diff_ids"] = []any{"sha256:../../../../etc/passwd"}
		d.Describe()
	}, Err: "parse config"},
	{Name: "hard link to what is not beneath", Change: func(d *Document) {
		archive := packed(HardLink("a", "b"))
		d.only(gzipped(archive), archive, layerGzip)
	}, Err: "entry a: hard link to b: the layer is the first one and has no such file"},
	{Name: "entry that leads out", Change: func(d *Document) {
		archive := packed(File("../../../../etc/passwd", "x"))
		d.only(gzipped(archive), archive, layerGzip)
	}, Err: `its name has ".." in it`},
}

var documents = []Image{
	{Name: "more diffIDs than layers", Change: func(d *Document) {
		d.rootfs()["diff_ids"] = append(d.rootfs()["diff_ids"].([]any), digest(nil))
		d.Describe()
	}, Err: "layers"},
	{Name: "more layers than diffIDs", Change: func(d *Document) { d.Manifest["layers"] = append(d.Manifest["layers"].([]any), d.layer()) }, Err: "layers"},
	{Name: "history of other layers", Change: func(d *Document) {
		d.Config["history"] = []any{map[string]any{}, map[string]any{}}
		d.Describe()
	}, Err: "the history has 2 layers and rootfs has 1"},
	{Name: "history with empty steps", Change: func(d *Document) {
		d.Config["history"] = []any{map[string]any{"empty_layer": true}, map[string]any{}}
		d.Describe()
	}},
	{Name: "rootfs of another type", Change: func(d *Document) { d.rootfs()["type"] = "tree"; d.Describe() }, Err: `rootfs type "tree"`},
	{Name: "config that is no JSON", Change: func(d *Document) { d.RawConfig = []byte("config"); d.Describe() }, Err: "parse config"},
	{Name: "config that is a list", Change: func(d *Document) { d.RawConfig = []byte("[]"); d.Describe() }, Err: "parse config"},
	{Name: "config of 5 MiB", Change: func(d *Document) { d.Config["author"] = strings.Repeat("x", 5<<20); d.Describe() }, Err: "more than the 4194304 allowed"},
	{Name: "manifest that is no JSON", Change: func(d *Document) { d.RawManifest = []byte("<html>") }, Err: "parse manifest"},
	{Name: "manifest that is empty", Change: func(d *Document) { d.RawManifest = []byte{} }, Err: "parse manifest"},
	{Name: "manifest of 5 MiB", Change: func(d *Document) { d.Manifest["annotations"] = map[string]any{"x": strings.Repeat("x", 5<<20)} }, Err: "more than the 4194304 allowed"},
	{Name: "manifest with something behind", Change: func(d *Document) { d.RawManifest = append(document(d.Manifest), "{}"...) }, Err: "parse manifest"},
	{Name: "manifest in deep brackets", Change: func(d *Document) { d.RawManifest = bytes.Repeat([]byte("["), 1<<20) }, Err: "parse manifest"},
	{Name: "unknown fields survive", Change: func(d *Document) { d.Manifest["unknown"], d.Config["unknown"] = "x", "y"; d.Describe() }},
}

var kinds = []Image{
	{Name: "index", Change: func(d *Document) {
		d.RawManifest = document(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{}})
	}, Err: "it is not a manifest"},
	{Name: "manifest and index at once", Change: func(d *Document) { d.Manifest["manifests"] = []any{} }, Err: "it is both a manifest and an index"},
	{Name: "schema 1", Change: func(d *Document) {
		d.RawManifest = document(map[string]any{"schemaVersion": 1, "fsLayers": []any{map[string]any{"blobSum": digest(nil)}}})
	}, Err: "schema version 1 is not supported"},
	{Name: "schema 3", Change: func(d *Document) { d.Manifest["schemaVersion"] = 3 }, Err: "schema version 3, not 2"},
	{Name: "manifest of another media type", Change: func(d *Document) { d.Manifest["mediaType"] = "application/vnd.oci.image.index.v1+json" }, Err: "media type"},
	{Name: "Docker's media types", Change: func(d *Document) {
		d.Manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
		d.layer()["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
		d.Manifest["config"].(map[string]any)["mediaType"] = "application/vnd.docker.container.image.v1+json"
	}},
	{Name: "layer of an unknown media type", Change: func(d *Document) { d.layer()["mediaType"] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip" }, Err: "unknown media type"},
	{Name: "layer without a media type", Change: func(d *Document) { delete(d.layer(), "mediaType") }, Err: "unknown media type"},
	{Name: "foreign layer", Change: func(d *Document) {
		d.layer()["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	}},
	{Name: "non-distributable layer", Change: func(d *Document) {
		d.layer()["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	}},
	{Name: "artifact", Change: func(d *Document) {
		d.Manifest["artifactType"] = "application/vnd.example.sbom"
		d.Manifest["config"].(map[string]any)["mediaType"] = "application/vnd.oci.empty.v1+json"
	}}, // run refuses it
	{Name: "chart", Change: func(d *Document) {
		d.Manifest["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
	}}, // and this
}

var compressed = []Image{
	{Name: "gzip of several members", Change: func(d *Document) {
		a := good()
		d.only(gzipped(a[:700], a[700:]), a, layerGzip)
	}},
	{Name: "gzip with rubbish behind", Change: func(d *Document) { d.only(append(gzipped(good()), "rubbish"...), good(), layerGzip) }, Err: "read archive after its end: unexpected EOF"},
	{Name: "gzip with more rubbish behind", Change: func(d *Document) { d.only(append(gzipped(good()), strings.Repeat("rubbish", 9)...), good(), layerGzip) }, Err: "gzip: invalid header"},
	{Name: "gzip with zeros behind", Change: func(d *Document) { d.only(append(gzipped(good()), make([]byte, 100)...), good(), layerGzip) }, Err: "gzip: invalid header"},
	{Name: "gzip with a wrong sum", Change: func(d *Document) {
		blob := gzipped(good())
		blob[len(blob)-8] ^= 1
		d.only(blob, good(), layerGzip)
	}, Err: "gzip: invalid checksum"},
	{Name: "gzip that is cut", Change: func(d *Document) { d.only(gzipped(good())[:80], good(), layerGzip) }, Err: "unexpected EOF"},
	{Name: "gzip in gzip", Change: func(d *Document) { d.only(gzipped(gzipped(good())), good(), layerGzip) }, Err: "unexpected EOF"},
	{Name: "gzip bomb", Change: func(d *Document) {
		blob, sum := gzipBomb(1 << 30)
		d.Manifest["layers"] = []any{d.Blob(blob, layerGzip)}
		d.rootfs()["diff_ids"] = []any{fmt.Sprintf("sha256:%x", sum)}
		d.Describe()
	}},
	{Name: "zstd", Change: func(d *Document) { d.only(zstandard(good()), good(), layerZstd) }},
	{Name: "zstd of several frames", Change: func(d *Document) {
		a := good()
		d.only(zstandard(a[:700], a[700:]), a, layerZstd)
	}},
	{Name: "zstd with a window of a gibibyte", Change: func(d *Document) {
		d.only([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0}, good(), layerZstd)
	}, Err: "window size exceeded"},
	{Name: "zstd that is cut", Change: func(d *Document) { blob := zstandard(good()); d.only(blob[:len(blob)/2], good(), layerZstd) }, Err: "unexpected EOF"},
	{Name: "zstd called gzip", Change: func(d *Document) { d.only(zstandard(good()), good(), layerGzip) }},
	{Name: "uncompressed called gzip", Change: func(d *Document) { d.only(good(), good(), layerGzip) }},
	{Name: "uncompressed", Change: func(d *Document) { d.only(good(), good(), layerTar) }},
	{Name: "xz", Change: func(d *Document) { d.only([]byte("\xfd7zXZ\x00 and so on"), good(), layerTar) }, Err: "xz compression is not supported"},
	{Name: "no archive", Change: func(d *Document) {
		rubbish := []byte(strings.Repeat("rubbish", 200))
		d.only(gzipped(rubbish), rubbish, layerGzip)
	}, Err: "invalid tar header"},
}
