// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// forms are how the layers of the big image are compressed.
var forms = []struct{ name, suffix, mediaType string }{
	{"plain", "", "application/vnd.oci.image.layer.v1.tar"},
	{"gzip", ".gz", "application/vnd.oci.image.layer.v1.tar+gzip"},
	{"zstd", ".zst", "application/vnd.oci.image.layer.v1.tar+zstd"},
}

const (
	podmanLoad = "podman load, plain"
	bySteps    = "zstd -dc | tar -x, layer by layer"
)

// load measures a big image on its way into an empty store, and what is done
// with it then.
func (b *bench) load() error {
	big := filepath.Join(filepath.Dir(b.archive), "big")
	if _, err := output("sh", "bench/bigimage.sh", big, b.archive); err != nil {
		return err
	}
	for _, form := range forms {
		if err := writeImage(big, form.name, form.suffix, form.mediaType); err != nil {
			return fmt.Errorf("make the image, %s: %w", form.name, err)
		}
	}
	if err := b.loadAll(big); err != nil {
		return err
	}
	return b.loaded(big)
}

func (b *bench) loadAll(big string) error {
	podman := newPodman(b)
	podman.argv[2] = b.path("podman-big")
	contenders := []contender{
		{name: bySteps, run: b.emptied("steps", func(dir string) []string {
			return []string{"sh", "-ec", `mkdir "$2"; for l in "$1"/layers/*.zst; do zstd -dc "$l" | tar -x --xattrs -C "$2" 2>/dev/null || :; done`, "sh", big, dir}
		})},
		{name: podmanLoad, absent: podman.absent, run: b.emptied("podman-big", func(string) []string { return podman.command("load", "-q", "-i", big+"/plain.tar") })},
	}
	for _, form := range forms {
		contenders = append(contenders, contender{name: "strata load, " + form.name, run: b.emptied("store-"+form.name, func(dir string) []string {
			return []string{filepath.Join(b.bin, "strata"), "--root", dir, "load", "-q", "-i", big + "/" + form.name + ".tar"}
		})})
	}
	results, err := measure(b.rounds(3), contenders, nil)
	if err != nil {
		return err
	}
	peer := find(results, podmanLoad).times.median()
	table{
		title: "load: a big image of Debian packages into an empty store", results: results, floor: find(results, bySteps).times.median(),
		targets: map[string]time.Duration{"strata load, zstd": scale(peer, 1/3.5), "strata load, gzip": scale(peer, 1/2.5)},
		comment: "What strata loads is on disk when it ends; podman's and tar's is not yet. The ratios\nare to the simple way, the targets to podman.",
	}.print()
	return nil
}

// loaded measures what is done with the image that was loaded last.
func (b *bench) loaded(big string) error {
	strata := func(args ...string) []string {
		return append([]string{filepath.Join(b.bin, "strata"), "--root", b.path("store-gzip")}, args...)
	}
	results, err := measure(b.rounds(3), []contender{
		{name: "sha256sum of plain archives", run: b.fresh("sh", "-ec", `ls "$1"/layers/*.tar | xargs -P 2 -n 1 sha256sum`, "sh", big)},
		{name: "strata load again", run: b.fresh(strata("load", "-q", "-i", big+"/gzip.tar")...)},
		{name: "strata check", run: b.fresh(strata("check", "-q")...)},
		{name: "strata save", run: b.fresh(append([]string{"sh", "-c", `exec "$@" >/dev/null`, "sh"}, strata("save", "big:gzip")...)...)},
	}, nil)
	if err != nil {
		return err
	}
	table{
		title: "the same image, loaded from gzip", results: results, floor: results[0].times.median(),
		comment: "The ratios are to hashing its archives on both processors.",
	}.print()
	took, err := timed(strata("rmi", "big:gzip")...)
	if err == nil {
		fmt.Printf("\nstrata rmi of it: %s ms (target 20)\n", milliseconds(took))
	}
	return err
}

// emptied measures a command that fills the directory of this run called name,
// which is removed before.
func (b *bench) emptied(name string, command func(dir string) []string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		if err := os.RemoveAll(b.path(name)); err != nil {
			return 0, err
		}
		return synced(func() (time.Duration, error) { return timed(command(b.path(name))...) })()
	}
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// writeImage makes the OCI archive of the big image's layers in one form, once.
func writeImage(big, form, suffix, mediaType string) (err error) {
	path := filepath.Join(big, form+".tar")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	archives, err := filepath.Glob(big + "/layers/*.tar")
	if err != nil {
		return err
	}
	var layers []descriptor
	var diffIDs []string
	for _, archive := range archives {
		diffID, _, err := digestOf(archive)
		if err != nil {
			return err
		}
		digest, size, err := digestOf(archive + suffix)
		if err != nil {
			return err
		}
		diffIDs, layers = append(diffIDs, diffID), append(layers, descriptor{MediaType: mediaType, Digest: digest, Size: size})
		if err := addFile(w, archive+suffix, digest, size); err != nil {
			return err
		}
	}
	if err := addDocuments(w, "big:"+form, layers, diffIDs); err != nil {
		return err
	}
	return errors.Join(w.Close(), os.Rename(path+".part", path))
}

func addDocuments(w *tar.Writer, name string, layers []descriptor, diffIDs []string) error {
	config, err := addDocument(w, "", "application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return err
	}
	manifest, err := addDocument(w, "", "application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers,
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": name}
	if _, err := addDocument(w, "index.json", "", map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}}); err != nil {
		return err
	}
	_, err = addDocument(w, "oci-layout", "", map[string]any{"imageLayoutVersion": "1.0.0"})
	return err
}

// addDocument adds a document, as a blob if it has no name.
func addDocument(w *tar.Writer, name, mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	if name == "" {
		name = "blobs/sha256/" + sum
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return descriptor{}, err
	}
	_, err = w.Write(data)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: int64(len(data))}, err
}

func digestOf(path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err = io.Copy(sum, f)
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), size, err
}

func addFile(w *tar.Writer, path, digest string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.WriteHeader(&tar.Header{Name: "blobs/sha256/" + digest[len("sha256:"):], Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
