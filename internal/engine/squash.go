// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/image"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// SquashOptions say what Squash makes of an image.
type SquashOptions struct {
	From    string // a layer's digest or its first digits, or the number of a step; "" for all layers
	Name    string // of the new image; "" for none
	Message string
}

// Squash makes an image that shows what the image called name shows, with the
// layers from one on flattened into a single layer. Older layers stay as they
// are. Of what the flattened layers deleted only what still hides something of
// the older ones is left.
func (e *Engine) Squash(ctx context.Context, name string, o SquashOptions) (img image.Image, err error) {
	if e.ids.single() {
		return img, errors.New("squash: files in this store have no owners but its user: that takes subordinate ids (newuidmap, and a line in /etc/subuid and /etc/subgid)")
	}
	ref, err := parseName(o.Name)
	if err != nil {
		return img, err
	}
	s, err := e.openStack(name)
	if err != nil {
		return img, err
	}
	defer s.close()
	from, err := squashFrom(s.image, o.From)
	if err == nil {
		img, err = e.squash(ctx, s, from, ref, o)
	}
	if err != nil {
		return img, fmt.Errorf("squash: image %s: %w", name, e.spaceHint(err))
	}
	return img, nil
}

// squashFrom finds the oldest layer that is flattened.
func squashFrom(img image.Image, from string) (int, error) {
	if len(img.Layers) == 0 {
		return 0, errors.New("it has no layers")
	}
	if from == "" {
		return 0, nil
	}
	const digits = 4 // a longer number is the beginning of a digest
	if n, err := strconv.Atoi(from); err == nil && len(from) <= digits {
		return squashFromStep(img, n)
	}
	found := -1
	prefix := strings.TrimPrefix(from, "sha256:")
	for i, id := range img.Layers {
		if !strings.HasPrefix(id.Hex(), prefix) {
			continue
		}
		if found >= 0 && img.Layers[found] != id {
			return 0, fmt.Errorf("--from %s: several layers begin with these digits", from)
		}
		if found < 0 {
			found = i
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("--from %s: it has no such layer; strata history --layers lists them", from)
	}
	return found, nil
}

// squashFromStep finds the first layer of a step or of those after it.
func squashFromStep(img image.Image, number int) (int, error) {
	steps := layerSteps(img)
	for i, s := range steps {
		if number >= 1 && s.Number >= number {
			return i, nil
		}
	}
	return 0, fmt.Errorf("--from %d: its layers are made by steps %d to %d; strata history --layers lists them",
		number, steps[0].Number, steps[len(steps)-1].Number)
}

func (e *Engine) squash(ctx context.Context, s *imageStack, from int, ref oci.Reference, o SquashOptions) (img image.Image, err error) {
	staging, err := e.store.Stage()
	if err != nil {
		return img, err
	}
	defer func() { err = errors.Join(err, staging.Close()) }()
	l, err := e.flatten(ctx, s, from, staging)
	if err != nil {
		return img, err
	}
	err = e.shared(func() error {
		if err := staging.Publish(); err != nil {
			return err
		}
		img, err = e.addSquashed(s.image, from, l, ref, o)
		return err
	})
	return img, err
}

// flatten makes a layer of those from one on: first a tree that has their files
// as hard links, then its archive, which is what a layer is made of. A mount of
// the layers would show no whiteouts, and the marks of an overlay inside the image
// under the names of our own.
func (e *Engine) flatten(ctx context.Context, s *imageStack, from int, staging *store.Staging) (l store.Layer, err error) {
	clamp, err := epoch()
	if err != nil {
		return l, err
	}
	tree, err := makeFlat(staging.Dir())
	if err != nil {
		return l, err
	}
	f := flattener{marks: e.marks, stack: s, from: s.firstTree(from), tree: int(tree.Fd())}
	if err = f.run(ctx); err == nil {
		l, err = e.applyFlat(ctx, tree, staging, clamp)
	}
	err = errors.Join(err, tree.Close())
	// Deleted with staging it would be waited for.
	return l, errors.Join(err, e.store.Trash(staging.Dir(), flatName))
}

func (e *Engine) applyFlat(ctx context.Context, tree *os.File, staging *store.Staging, clamp *time.Time) (l store.Layer, err error) {
	err = pipe(
		func(w io.Writer) error {
			_, err := layer.Write(ctx, tree, w, nil, layer.WriteOptions{Marks: e.marks, Root: true, Epoch: clamp})
			return err
		},
		func(archive io.Reader) (err error) {
			l, err = staging.Apply(ctx, archive, store.ApplyOptions{})
			return err
		},
	)
	return l, err
}

const flatName = "flat"

// makeFlat makes an empty directory in a staging directory, whose end is its own.
func makeFlat(parent *os.File) (*os.File, error) {
	if err := unix.Mkdirat(int(parent.Fd()), flatName, 0o755); err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: parent.Name() + "/" + flatName, Err: err}
	}
	return linux.OpenDir(parent.Name() + "/" + flatName)
}

// firstTree is the first tree of the layers from one on.
func (s *imageStack) firstTree(from int) int {
	for i, layer := range s.of {
		if layer >= from {
			return i
		}
	}
	return len(s.of)
}
