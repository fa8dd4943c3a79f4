// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/internal/compression"
	"strata/internal/hostile"
	"strata/internal/oci"
)

// blobs is a Source.
type blobs map[string][]byte

func (b blobs) Layer(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	blob, ok := b[string(d.Digest)]
	if !ok {
		return nil, errors.New("no such blob")
	}
	return io.NopCloser(bytes.NewReader(blob)), nil
}

// TestHostileImages takes each image in as a registry or an archive would give
// it. One that is refused leaves nothing that gc does not find; one that is taken
// can be mounted. It runs in a process of its own, to see how much memory it
// takes.
func TestHostileImages(t *testing.T) {
	const alone = "STRATA_TEST_HOSTILE"
	if os.Getenv(alone) != "" {
		for _, i := range hostile.Images() {
			t.Run(i.Name, func(t *testing.T) { takeHostile(t, i) })
		}
		return
	}
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self, "-test.run", "^TestHostileImages$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	most := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss // KiB, getrusage(2)
	t.Logf("%d MiB of memory at most", most>>10)
	if most > 256<<10 {
		t.Errorf("it took %d MiB", most>>10)
	}
}

func takeHostile(t *testing.T, i hostile.Image) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	e := openEngine(t, filepath.Join(t.TempDir(), "store"))
	manifest, config, content := i.Documents()
	in, err := e.NewIntake(IntakeOptions{Decompress: compression.Decompress})
	check(t, err)
	err = in.Fetch(context.Background(), blobs(content), manifest, config)
	if err == nil {
		_, err = in.Add(manifest, config, reference(t, "hostile"))
	}
	check(t, in.Close())
	if i.Err != "" {
		if err == nil || !strings.Contains(err.Error(), i.Err) {
			t.Errorf("error %v\nwant one with %q", err, i.Err)
		}
		leavesNothing(t, e)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	img, err := e.images.Resolve("hostile")
	check(t, err)
	for _, id := range img.Layers {
		check(t, e.store.Verify(context.Background(), id))
	}
}

func reference(t *testing.T, name string) oci.Reference {
	t.Helper()
	ref, err := oci.ParseReference(name)
	check(t, err)
	return ref.WithDefaultTag()
}

// leavesNothing looks for what is in the store when garbage has gone to the trash.
func leavesNothing(t *testing.T, e *Engine) {
	t.Helper()
	_, err := e.Collect()
	check(t, err)
	for _, dir := range []string{"layers", "staging", "images/blobs/sha256", "images/names"} {
		list, err := os.ReadDir(e.store.Path() + "/" + dir)
		check(t, err)
		if len(list) > 0 {
			t.Errorf("%s holds %s", dir, list)
		}
	}
}

// A file that a layer only links to is there in whatever reads the image, and in
// what is made of it.
func TestLinkToAFileOfALowerLayer(t *testing.T) {
	e := newEngine(t)
	archive, err := io.ReadAll(hostile.Pack("", hostile.HardLink("copy", "file0")))
	check(t, err)
	manifest, config, content := hostile.Image{Layers: 2, Change: func(d *hostile.Document) {
		d.Manifest["layers"].([]any)[1] = d.Blob(archive, oci.MediaTypeLayer)
		d.Config["rootfs"].(map[string]any)["diff_ids"].([]any)[1] = oci.FromBytes(archive)
		d.Describe()
	}}.Documents()
	in := newIntake(t, e, IntakeOptions{Decompress: compression.Decompress})
	check(t, in.Fetch(context.Background(), blobs(content), manifest, config))
	img, err := in.Add(manifest, config, reference(t, "linked"))
	check(t, err)

	lower, err := e.openLayers(img.Layers)
	check(t, err)
	defer lower.close()
	root, err := e.mountView(lower, nil)
	check(t, err)
	defer root.Close()
	got, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d/copy", root.Fd()))
	if err != nil || string(got) != "x" {
		t.Errorf("the copy holds %q, %v", got, err)
	}

	flat, err := e.Squash(context.Background(), "linked", SquashOptions{Name: "flat"})
	check(t, err)
	var out bytes.Buffer
	check(t, e.store.Archive(context.Background(), flat.Layers[0], &out))
	if !bytes.Contains(out.Bytes(), []byte("copy\x00")) {
		t.Error("the copy is not in the flat image")
	}
}
