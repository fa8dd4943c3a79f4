// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/archive"
	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/oci"
)

// Formats of what save writes.
const (
	formatLayout = "oci-archive"
	formatDir    = "oci-dir"
	formatDocker = "docker-archive"
)

// saveOptions are what the command line says.
type saveOptions struct {
	output, format string
	compression    compressionFlags
}

func newSaveCommand() *cli.Command {
	o := saveOptions{format: formatLayout}
	c := &cli.Command{
		Use:   "save [OPTIONS] IMAGE...",
		Short: "Write images to an archive",
		Long: `Write images to an archive that load, docker, podman and others read. Manifests,
configs and layers are those that came; images made here have uncompressed layers
unless --compression says otherwise. A docker-archive has no manifests, and its
layers are always uncompressed. Equal images give equal bytes.`,
		Min: 1, Max: -1,
		Run: func(args []string) error {
			out, err := o.check()
			if err != nil {
				return err
			}
			return withEngine(func(ctx context.Context, e *engine.Engine) error { return save(ctx, e, args, o, out) })
		},
	}
	c.Flags().StringVar(&o.output, "output", "o", "FILE|DIR", "write to a file or a directory in place of standard output")
	c.Flags().StringVar(&o.format, "format", "", formatLayout+"|"+formatDir+"|"+formatDocker, "form of the archive (default "+formatLayout+")")
	o.compression.add(c.Flags())
	return c
}

// check refuses what cannot be before anything is begun.
func (o *saveOptions) check() (engine.OutgoOptions, error) {
	out, err := o.compression.options()
	switch {
	case err != nil:
		return out, err
	case !slices.Contains([]string{formatLayout, formatDir, formatDocker}, o.format):
		return out, cli.Usagef("save: --format %q: give %s, %s or %s", o.format, formatLayout, formatDir, formatDocker)
	case o.format == formatDir && (o.output == "" || o.output == "-"):
		return out, cli.Usagef("save: --format %s needs -o DIR", formatDir)
	case o.format == formatDocker && out.Compression != nil && *out.Compression != oci.Uncompressed:
		return out, cli.Usagef("save: the layers of a %s are uncompressed: leave --compression out, or use --format %s", formatDocker, formatLayout)
	case o.output == "" && term.IsTerminal(int(os.Stdout.Fd())):
		return out, cli.Usagef("save: an archive is not for a terminal: use -o FILE or a pipe")
	}
	if o.format == formatDocker {
		plain := oci.Uncompressed
		out.Compression = &plain
	}
	return out, nil
}

func save(ctx context.Context, e *engine.Engine, names []string, o saveOptions, options engine.OutgoOptions) (err error) {
	mtime, err := engine.SourceDate()
	if err != nil {
		return err
	}
	out, err := e.NewOutgo(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	images, err := prepare(ctx, out, names)
	if err != nil {
		return err
	}
	written := make([]archive.OutImage, len(images))
	for i, img := range images {
		if written[i], err = outImage(ctx, names[i], img); err != nil {
			return fmt.Errorf("save %s: %w", names[i], err)
		}
		if o.format != formatDocker && options.Compression == nil && oci.FromBytes(written[i].Manifest) != img.Image.Manifest {
			fmt.Fprintf(os.Stderr, "strata: save %s: layers are compressed anew, because their blobs came with another image: the manifest is %s, not %s\n",
				names[i], oci.FromBytes(written[i].Manifest), img.Image.Manifest)
		}
	}
	if err := write(ctx, written, o, mtime); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// prepare finds the images, and compresses layers side by side where that must be
// done before they can be described.
func prepare(ctx context.Context, out *engine.Outgo, names []string) ([]*engine.OutImage, error) {
	images := make([]*engine.OutImage, len(names))
	for i, name := range names {
		img, err := out.Image(name)
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", name, err)
		}
		images[i] = img
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2) // each has several processors at work, and takes memory
	for n, img := range images {
		for i, d := range img.Descriptors() {
			if d.Digest != "" {
				continue
			}
			g.Go(func() error {
				if _, err := img.Layer(ctx, i); err != nil {
					return fmt.Errorf("save %s: %w", names[n], err)
				}
				return nil
			})
		}
	}
	return images, g.Wait()
}

func outImage(ctx context.Context, name string, img *engine.OutImage) (o archive.OutImage, err error) {
	o.Config = img.ConfigBytes
	if ref, err := oci.ParseReference(name); err == nil && slices.Contains(img.Names, ref.WithDefaultTag()) {
		o.Names = []oci.Reference{ref.WithDefaultTag()} // one that is asked for by its ID has none
	}
	if o.Manifest, _, err = img.Manifest(ctx); err != nil {
		return o, err
	}
	for i := range img.Descriptors() {
		d, err := img.Layer(ctx, i)
		if err != nil {
			return o, err
		}
		o.Layers = append(o.Layers, archive.Blob{Descriptor: d, Write: func(ctx context.Context, w io.Writer) error {
			return img.WriteLayer(ctx, i, w)
		}})
	}
	return o, nil
}

func write(ctx context.Context, images []archive.OutImage, o saveOptions, mtime *time.Time) error {
	if o.format == formatDir {
		return archive.WriteDir(ctx, o.output, images)
	}
	var t time.Time
	if mtime != nil {
		t = *mtime
	}
	form := archive.WriteLayout
	if o.format == formatDocker {
		form = archive.WriteDocker
	}
	return toOutput(ctx, o.output, func(w io.Writer) error { return form(ctx, w, images, t) })
}

// toOutput writes to a file that is there only when it is whole. What is no
// regular file, such as a device, is written to and not replaced.
func toOutput(ctx context.Context, output string, write func(io.Writer) error) (err error) {
	if output == "" || output == "-" {
		return toStdout(ctx, write)
	}
	info, err := os.Stat(output)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory: name a file, or use --format %s", output, formatDir)
	case err == nil && !info.Mode().IsRegular():
		return intoSpecial(ctx, output, write)
	case err == nil:
		if output, err = filepath.EvalSymlinks(output); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(output), ".strata-save-")
	if err != nil {
		return err
	}
	err = errors.Join(writeBehind(ctx, f, write), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), output)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// toStdout ends as others do when their reader has gone, but takes back what was
// begun.
func toStdout(ctx context.Context, write func(io.Writer) error) error {
	signal.Ignore(unix.SIGPIPE)
	err := writeBehind(ctx, os.Stdout, write)
	if errors.Is(err, unix.EPIPE) {
		return &cli.ExitError{Code: 128 + int(unix.SIGPIPE)}
	}
	return err
}

func intoSpecial(ctx context.Context, output string, write func(io.Writer) error) error {
	f, err := open(ctx, output, os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("%s: %w", output, err)
	}
	return errors.Join(writeBehind(ctx, f, write), f.Close())
}
