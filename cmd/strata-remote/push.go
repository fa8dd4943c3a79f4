// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/oci"
	"strata/internal/registry"
)

// pushOptions are the flags of push.
type pushOptions struct {
	authFile    string
	allTags     bool
	quiet       bool
	compression compressionFlags
}

func newPushCommand() *cli.Command {
	var o pushOptions
	c := &cli.Command{
		Use:   "push [OPTIONS] NAME[:TAG]",
		Short: "Send an image to its registry",
		Long: `Send an image to the registry that its name says, with the manifest that it has:
layers go out as they came, and those made here uncompressed, unless
--compression says otherwise. Give an image a name of another registry with tag.`,
		Min: 1, Max: 1,
	}
	c.Flags().BoolVar(&o.allTags, "all-tags", "a", "send every tag of the repository")
	c.Flags().BoolVar(&o.quiet, "quiet", "q", "print the reference only")
	c.Flags().StringVar(&o.authFile, "authfile", "", "FILE", "look for credentials here first")
	o.compression.add(c.Flags())
	c.Run = func(args []string) error {
		out, err := o.compression.options()
		if err != nil {
			return err
		}
		return withEngine(func(ctx context.Context, e *engine.Engine) error {
			if err := push(ctx, e, args[0], o, out); err != nil {
				return fmt.Errorf("push %s: %w", args[0], err)
			}
			return nil
		})
	}
	return c
}

// A pusher sends images to one repository.
type pusher struct {
	engine     *engine.Engine
	out        *engine.Outgo
	repository *registry.Repository
	options    pushOptions
	anew       bool // compressing was asked for
	talk       io.Writer
}

func push(ctx context.Context, e *engine.Engine, name string, o pushOptions, options engine.OutgoOptions) (err error) {
	refs, err := pushed(e, name, o.allTags)
	if err != nil {
		return err
	}
	client, err := newClient(o.authFile)
	if err != nil {
		return err
	}
	defer client.Close()
	p := pusher{engine: e, options: o, anew: options.Compression != nil, talk: os.Stdout}
	if o.quiet {
		p.talk = io.Discard
	}
	if p.repository, err = client.Repository(refs[0]); err != nil {
		return err
	}
	if p.out, err = e.NewOutgo(options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.out.Close()) }()
	for i, ref := range refs {
		if err := p.one(ctx, ref, i == 0); err != nil {
			return err
		}
	}
	if o.quiet {
		_, err = fmt.Println(refs[0])
	}
	return err
}

// pushed lists the references to push: one, or all tags of a repository.
func pushed(e *engine.Engine, name string, all bool) (refs []oci.Reference, err error) {
	ref, err := oci.ParseReference(name)
	switch {
	case err != nil:
		return nil, cli.Usagef("%w", err)
	case ref.Digest != "":
		return nil, cli.Usagef("an image is pushed by its tag: a digest follows from what is pushed")
	case !all:
		return []oci.Reference{ref.WithDefaultTag()}, nil
	case ref.Tag != "":
		return nil, cli.Usagef("a tag cannot be used with --all-tags")
	}
	images, err := e.Images()
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		for _, n := range img.Names {
			if n.Name() == ref.Name() && n.Tag != "" {
				refs = append(refs, n)
			}
		}
	}
	if len(refs) == 0 {
		return nil, errors.New("no image here has a tag of this repository")
	}
	slices.SortFunc(refs, func(a, b oci.Reference) int { return strings.Compare(a.Tag, b.Tag) })
	return refs, nil
}

// one pushes one image.
func (p *pusher) one(ctx context.Context, ref oci.Reference, first bool) error {
	img, err := p.out.Image(ref.String())
	if err != nil {
		return err
	}
	bars := newProgress(os.Stderr, p.options.quiet)
	err = p.blobs(ctx, img, ref, bars)
	if err = errors.Join(err, bars.Close()); err != nil {
		return err
	}
	manifest, changed, err := img.Manifest(ctx)
	if err != nil {
		return err
	}
	d := registry.Document{MediaType: manifestType(manifest), Digest: oci.FromBytes(manifest), Data: manifest}
	if changed && !p.anew {
		fmt.Fprintf(os.Stderr, "strata: push %s: layers are compressed anew, because their blobs came with another image: the manifest is %s, not %s\n",
			ref.Familiar(), d.Digest, img.Image.Manifest)
	}
	if err := p.repository.PutManifest(ctx, ref, d); err != nil {
		return err
	}
	if first {
		fmt.Fprintf(p.talk, "The push refers to repository [%s]\n", ref.Name())
	}
	_, err = fmt.Fprintf(p.talk, "%s: digest: %s size: %d\n", ref.Tag, d.Digest, len(manifest))
	return err
}

// manifestType is what a manifest says it is.
func manifestType(manifest []byte) string {
	var document struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(manifest, &document) != nil || document.MediaType == "" {
		return oci.MediaTypeManifest
	}
	return document.MediaType
}

// blobs sends what the manifest refers to, several blobs at once.
func (p *pusher) blobs(ctx context.Context, img *engine.OutImage, ref oci.Reference, bars *progress) error {
	descriptors := img.Descriptors()
	known := slices.DeleteFunc(slices.Clone(descriptors), func(d oci.Descriptor) bool { return d.Digest == "" })
	bars.expect(known)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(4, runtime.NumCPU()))
	seen := map[oci.Digest]bool{} // diffIDs: a layer may be in an image twice
	for i, id := range img.Layers {
		if !seen[id] {
			seen[id] = true
			g.Go(func() error { return p.layer(ctx, img, i, ref, bars) })
		}
	}
	g.Go(func() error { return p.config(ctx, img) })
	return g.Wait()
}

func (p *pusher) config(ctx context.Context, img *engine.OutImage) error {
	_, err := p.repository.Upload(ctx, registry.Content{
		Digest: img.ID, Size: int64(len(img.ConfigBytes)),
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(img.ConfigBytes)), nil
		},
	})
	return err
}

// layer sends one layer, compressing it first where that has to be: not where
// the registry has the very blob that is not here.
func (p *pusher) layer(ctx context.Context, img *engine.OutImage, i int, ref oci.Reference, bars *progress) error {
	if lost, ok := img.Lost(i); ok {
		has, err := p.repository.Has(ctx, lost.Digest)
		if err != nil {
			return err
		}
		if has {
			img.Leave(i)
			bars.finish(lost.Digest, "Layer already exists", true)
			return nil
		}
	}
	d, err := img.Layer(ctx, i)
	if err != nil {
		return err
	}
	from, err := p.relative(ref, img.Layers[i])
	if err != nil {
		return err
	}
	bars.set(d.Digest, "Preparing", 0, d.Size, false)
	done, err := p.repository.Upload(ctx, registry.Content{
		Digest: d.Digest, Size: d.Size, From: from,
		Open:     func(ctx context.Context) (io.ReadCloser, error) { return openLayer(ctx, img, i), nil },
		Progress: func(n int64) { bars.set(d.Digest, "Pushing", n, d.Size, true) },
	})
	switch {
	case err != nil:
		return err
	case done.Existed:
		bars.finish(d.Digest, "Layer already exists", true)
	case done.Mounted:
		bars.finish(d.Digest, "Mounted from "+from, true)
	default:
		bars.finish(d.Digest, "Pushed", false)
	}
	return nil
}

// openLayer turns the writing of a layer into reading.
func openLayer(ctx context.Context, img *engine.OutImage, i int) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(img.WriteLayer(ctx, i, w)) }()
	return r
}

// relative is another repository of the same registry with an image that has the
// layer, from which the registry may take it. It may not have it any more.
func (p *pusher) relative(ref oci.Reference, layer oci.Digest) (string, error) {
	images, err := p.engine.Images()
	if err != nil {
		return "", err
	}
	for _, img := range images {
		if !slices.Contains(img.Layers, layer) {
			continue
		}
		for _, n := range img.Names {
			if n.Domain == ref.Domain && n.Repository != ref.Repository {
				return n.Repository, nil
			}
		}
	}
	return "", nil
}
