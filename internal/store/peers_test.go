// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	moby "github.com/moby/go-archive"

	"strata/internal/hostile"
	"strata/internal/oci"
	"strata/internal/tree"
)

// applyAs applies the layer, and the one beneath, to what it says beneath work.
type applyAs func(work string, archives []io.Reader) (root string, err error)

// TestHostileLayersAsPeersApplyThem compares what other programs make of the
// archives with what is expected of ours. Each difference has its reason in the
// table; one that has none fails, and so does a reason where nothing differs.
func TestHostileLayersAsPeersApplyThem(t *testing.T) {
	needMount(t)
	for peer, apply := range map[hostile.Peer]applyAs{hostile.Docker: asDocker, hostile.Umoci: asUmoci, hostile.Podman: asPodman, hostile.Tar: asTar} {
		t.Run(string(peer), func(t *testing.T) {
			if _, err := exec.LookPath(string(peer)); err != nil && peer != hostile.Docker {
				t.Skipf("needs %s: %v", peer, err)
			}
			if peer == hostile.Podman && testing.Short() {
				t.Skip("podman takes half a second for each of 240 archives")
			}
			eachHostile(t, func(t *testing.T, name string, l hostile.Layer) {
				if l.Unread || peer == hostile.Tar && marked(l) {
					return // too large to compare, or more than the peer knows
				}
				comparePeer(t, l, apply, hostile.Differs(peer, name))
			})
		})
	}
}

// marked tells whether a layer is about whiteouts, which tar(1) does not know.
func marked(l hostile.Layer) bool {
	for _, e := range l.Entries {
		if strings.Contains(e.Name, ".wh.") {
			return true
		}
	}
	return false
}

func comparePeer(t *testing.T, l hostile.Layer, apply applyAs, reason string) {
	base := t.TempDir()
	outside, work := filepath.Join(base, "outside"), filepath.Join(base, "work")
	tree.Create(t, outside, tree.New(tree.File("file", "sentinel")))
	tree.Create(t, work, nil)
	before := listing(t, outside)
	var archives []io.Reader
	if lower := l.Lower(outside); lower != nil {
		archives = append(archives, lower)
	}
	root, err := apply(work, append(archives, l.Archive(outside)))
	difference := peerDifference(t, l, outside, root, err)
	switch {
	case difference != "" && reason == "":
		t.Errorf("no reason is given for this difference:\n%s", difference)
	case difference == "" && reason != "" && !strings.HasPrefix(reason, hostile.Sometimes):
		t.Errorf("nothing differs, but a reason is given: %s", reason)
	}
	if reason == "" {
		want(t, "what is outside", listing(t, outside), before)
	}
}

func peerDifference(t *testing.T, l hostile.Layer, outside, root string, err error) string {
	switch {
	case err != nil && l.Err != "":
		return ""
	case err != nil:
		return fmt.Sprintf("it refuses: %v", err)
	case l.Err != "":
		return fmt.Sprintf("it takes what we refuse, and makes %q", tree.Read(t, root).Paths())
	}
	want := l.Shows().Map(func(e *tree.Entry) { e.Target = strings.ReplaceAll(e.Target, hostile.Outside, outside) })
	got := noLinks(tree.Read(t, root, tree.NoDirTimes))
	return cmp.Diff(noDirTimes(noLinks(want)), got, cmpopts.EquateEmpty())
}

// asDocker is what docker's graph drivers call.
func asDocker(work string, archives []io.Reader) (string, error) {
	for _, a := range archives {
		if _, err := moby.UnpackLayer(work, a, nil); err != nil {
			return "", err
		}
	}
	return work, nil
}

func asTar(work string, archives []io.Reader) (string, error) {
	for _, a := range archives {
		if err := run(a, "tar", "-C", work, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", "-"); err != nil {
			return "", err
		}
	}
	return work, nil
}

func asUmoci(work string, archives []io.Reader) (string, error) {
	layout := filepath.Join(work, "image")
	if err := writeLayout(layout, archives); err != nil {
		return "", err
	}
	bundle := filepath.Join(work, "bundle")
	return bundle + "/rootfs", run(nil, "umoci", "unpack", "--image", layout+":x", bundle)
}

func asPodman(work string, archives []io.Reader) (root string, err error) {
	short, err := os.MkdirTemp("", "podman") // it makes a name of one path and refuses another that is long
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(short)) }()
	if err := writeLayout(short+"/image", archives); err != nil {
		return "", err
	}
	err = run(nil, "podman", "--root", work+"/root", "--runroot", short+"/run", "--storage-driver", "vfs", "pull", "-q", "oci:"+short+"/image:x")
	if err != nil {
		return "", err
	}
	return newestOfPodman(work + "/root")
}

// newestOfPodman is the directory of the layer that no other stands on.
func newestOfPodman(root string) (string, error) {
	data, err := os.ReadFile(root + "/vfs-layers/layers.json")
	if err != nil {
		return "", err
	}
	var layers []struct{ ID, Parent string }
	if err := json.Unmarshal(data, &layers); err != nil {
		return "", err
	}
	beneath := map[string]bool{}
	for _, l := range layers {
		beneath[l.Parent] = true
	}
	for _, l := range layers {
		if !beneath[l.ID] {
			return root + "/vfs/dir/" + l.ID, nil
		}
	}
	return "", errors.New("podman has no layers")
}

func run(in io.Reader, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLines(out.String()))
	}
	return nil
}

func lastLines(s string) string {
	const most = 400
	return s[max(0, len(s)-most):]
}

// writeLayout makes an OCI layout of an image, x, of uncompressed layers.
func writeLayout(dir string, archives []io.Reader) error {
	blobs := dir + "/blobs/sha256"
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	add := func(mediaType string, r io.Reader) (map[string]any, error) {
		f, err := os.Create(dir + "/blob")
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		size, err := io.Copy(io.MultiWriter(f, sum), r)
		digest := oci.FromSum(sum.Sum(nil))
		err = errors.Join(err, f.Close(), os.Rename(f.Name(), blobs+"/"+digest.Hex()))
		return map[string]any{"mediaType": mediaType, "digest": digest, "size": size}, err
	}
	document := func(mediaType string, v any) (map[string]any, error) {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return add(mediaType, bytes.NewReader(data))
	}
	var layers, diffIDs []any
	for _, a := range archives {
		d, err := add(oci.MediaTypeLayer, a)
		if err != nil {
			return err
		}
		layers, diffIDs = append(layers, d), append(diffIDs, d["digest"])
	}
	config, err := document(oci.MediaTypeConfig, map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}})
	if err != nil {
		return err
	}
	manifest, err := document(oci.MediaTypeManifest, map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "config": config, "layers": layers})
	if err != nil {
		return err
	}
	manifest["annotations"] = map[string]string{"org.opencontainers.image.ref.name": "x"}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(dir+"/index.json", index, 0o644), os.WriteFile(dir+"/oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}
