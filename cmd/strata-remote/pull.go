// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/registry"
)

// pullOptions are the flags of pull.
type pullOptions struct {
	platform string
	authFile string
	allTags  bool
	quiet    bool
	// forRun: another command needs the image. What is here already will do, and
	// standard output gets the reference alone.
	forRun, missing bool
}

func newPullCommand() *cli.Command {
	var o pullOptions
	c := &cli.Command{
		Use:   "pull [OPTIONS] NAME[:TAG|@DIGEST]",
		Short: "Get an image from a registry",
		Min:   1, Max: 1,
	}
	c.Flags().StringVar(&o.platform, "platform", "", "OS/ARCH[/VARIANT]", "choose among the images of an index (default: this machine's)")
	c.Flags().BoolVar(&o.allTags, "all-tags", "a", "get every tag of the repository")
	c.Flags().BoolVar(&o.quiet, "quiet", "q", "print the reference only")
	c.Flags().StringVar(&o.authFile, "authfile", "", "FILE", "look for credentials here first")
	c.Flags().BoolVar(&o.forRun, "for-run", "", "")
	c.Flags().BoolVar(&o.missing, "missing", "", "")
	c.Flags().Hide("for-run")
	c.Flags().Hide("missing")
	c.Run = func(args []string) error {
		return withEngine(func(ctx context.Context, e *engine.Engine) error {
			err := pull(ctx, e, args[0], o)
			if err != nil {
				err = fmt.Errorf("pull %s: %w", args[0], err)
			}
			if err != nil && o.forRun { // who runs us says it
				fmt.Println(cli.OneLine(err))
				return &cli.ExitError{Code: 1}
			}
			return err
		})
	}
	return c
}

// newClient reads what Docker and Podman have configured.
func newClient(authFile string) (*registry.Client, error) {
	return registry.New(registry.Options{Files: registry.DefaultFiles(os.Getenv, authFile)})
}

// A puller gets images.
type puller struct {
	engine   *engine.Engine
	client   *registry.Client
	options  pullOptions
	platform oci.Platform
	talk     io.Writer // gets what people read
}

func pull(ctx context.Context, e *engine.Engine, name string, o pullOptions) error {
	client, err := newClient(o.authFile)
	if err != nil {
		return err
	}
	defer client.Close()
	p := puller{engine: e, client: client, options: o, platform: oci.HostPlatform(), talk: os.Stdout}
	if o.platform != "" {
		if p.platform, err = oci.ParsePlatform(o.platform); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	switch {
	case o.quiet:
		p.talk = io.Discard
	case o.forRun:
		p.talk = os.Stderr
	}
	candidates, err := client.Candidates(name)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	if o.missing && p.here(candidates) {
		return nil
	}
	if o.allTags {
		return p.all(ctx, candidates)
	}
	return p.first(ctx, candidates)
}

// here prints the first reference for which there is an image.
func (p *puller) here(candidates []oci.Reference) bool {
	for _, ref := range candidates {
		ref = ref.WithDefaultTag()
		if _, err := p.engine.Image(ref.String()); err == nil {
			fmt.Println(ref)
			return true
		}
	}
	return false
}

// first pulls the first candidate that exists.
func (p *puller) first(ctx context.Context, candidates []oci.Reference) error {
	var absent []error
	for _, ref := range candidates {
		err := p.one(ctx, ref)
		if err == nil {
			_, err = fmt.Println(ref.WithDefaultTag())
			return err
		}
		if !registry.IsNotFound(err) && !registry.IsDenied(err) { // whoever can break a connection is not to choose the registry
			return err
		}
		absent = append(absent, err)
	}
	return errors.Join(absent...)
}

// all pulls every tag of a repository.
func (p *puller) all(ctx context.Context, candidates []oci.Reference) error {
	ref := candidates[0]
	if ref.Tag != "" || ref.Digest != "" {
		return cli.Usagef("a tag cannot be used with --all-tags")
	}
	if len(candidates) > 1 {
		return cli.Usagef("registries.conf has several registries for short names; write the one that is meant in full")
	}
	r, err := p.client.Repository(ref)
	if err != nil {
		return err
	}
	tags, err := r.Tags(ctx)
	if err != nil {
		return err
	}
	if len(tags) == 0 {
		return errors.New("the repository has no tags")
	}
	for _, ref.Tag = range tags {
		if err := p.one(ctx, ref); err != nil {
			return fmt.Errorf("tag %s: %w", ref.Tag, err)
		}
	}
	ref.Tag = ""
	_, err = fmt.Println(ref)
	return err
}

// one pulls what a reference names.
func (p *puller) one(ctx context.Context, ref oci.Reference) error {
	r, err := p.client.Repository(ref)
	if err != nil {
		return err
	}
	img, here := p.image(ref)
	found, err := p.resolve(ctx, r, ref, img)
	if err != nil {
		return err
	}
	noTag := ref.Tag == "" && ref.Digest == ""
	ref = ref.WithDefaultTag()
	switch {
	case p.options.missing:
		fmt.Fprintf(p.talk, "Unable to find image '%s' locally\n", ref.Familiar())
	case noTag && !p.options.forRun:
		fmt.Fprintln(p.talk, "Using default tag: "+oci.DefaultTag)
	}
	fmt.Fprintf(p.talk, "%s: Pulling from %s\n", tagOf(ref), ref.Repository)
	status := "Image is up to date for "
	if !here || img.Manifest != found.Manifest.Digest {
		status = "Downloaded newer image for "
		err = p.take(ctx, r, ref, found.Manifest)
	} else {
		err = p.checkPlatform(img.Config.Platform)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.talk, "Digest: %s\nStatus: %s%s\n", found.Digest, status, ref.Familiar())
	return err
}

// image is what a reference names here.
func (p *puller) image(ref oci.Reference) (img image.Image, here bool) {
	img, err := p.engine.Image(ref.WithDefaultTag().String())
	return img, err == nil
}

// resolve asks first whether a tag still names the manifest that is here:
// registries that count downloads do not count that question.
func (p *puller) resolve(ctx context.Context, r *registry.Repository, ref oci.Reference, img image.Image) (registry.Resolved, error) {
	if img.Manifest != "" && ref.Digest == "" {
		if digest, err := r.Digest(ctx, ref); err == nil && digest == img.Manifest {
			return registry.Resolved{Digest: digest, Manifest: registry.Document{Digest: digest}}, nil
		}
	}
	return r.Resolve(ctx, ref, p.platform)
}

func tagOf(ref oci.Reference) string {
	if ref.Digest != "" {
		return ref.String()
	}
	return ref.Tag
}

// take fetches what is missing of an image and stores it.
func (p *puller) take(ctx context.Context, r *registry.Repository, ref oci.Reference, manifest registry.Document) (err error) {
	m, err := oci.ParseManifest(manifest.Data)
	if err != nil {
		return err
	}
	if kind := m.Artifact(); kind != "" {
		return fmt.Errorf("it is an artifact of type %q and no image: it has no root filesystem to run", kind)
	}
	config, err := r.Config(ctx, m)
	if err != nil {
		return err
	}
	parsed, err := oci.ParseConfig(config)
	if err == nil {
		err = p.checkPlatform(parsed.Platform)
	}
	if err != nil {
		return err
	}
	bars := newProgress(os.Stderr, p.options.quiet)
	devices := &leftOut{name: "pull " + ref.Familiar()}
	in, err := p.engine.NewIntake(engine.IntakeOptions{Decompress: compression.Decompress, Progress: bars.layer, LeftOut: devices.add})
	if err != nil {
		return errors.Join(err, bars.Close())
	}
	bars.expect(m.Layers)
	err = in.Fetch(ctx, r, manifest.Data, config)
	err = errors.Join(err, bars.Close())
	if err == nil {
		_, err = in.Add(manifest.Data, config, ref)
	}
	devices.report()
	return errors.Join(err, in.Close())
}

// checkPlatform compares what an image's config says with what was asked for. An
// index has been searched for it; but what it says of its manifests may be wrong,
// and a manifest of its own says nothing.
func (p *puller) checkPlatform(is oci.Platform) error {
	switch {
	case is.Architecture == "" || is.OS == p.platform.OS && is.Architecture == p.platform.Architecture:
		return nil
	case p.options.platform != "":
		return fmt.Errorf("the image is for %s, and not for %s", is, p.platform)
	}
	fmt.Fprintf(os.Stderr, "strata: warning: the image is for %s, this machine is %s\n", is, p.platform)
	return nil
}
