// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"strata/internal/archive"
	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/oci"
)

func newLoadCommand() *cli.Command {
	var o loadOptions
	c := &cli.Command{
		Use:   "load [OPTIONS]",
		Short: "Take in images from an archive",
		Long: `Take in images that save wrote, or another tool: an OCI layout, as a tar archive
or a directory, or what docker save writes. It is told by its content, and gzip
or zstd may be around it. Without -i it is read from standard input.`,
		Max: 0,
		Run: func([]string) error {
			if (o.input == "" || o.input == "-") && term.IsTerminal(int(os.Stdin.Fd())) {
				return cli.Usagef("load: an archive does not come from a terminal: use -i FILE or a pipe")
			}
			if err := o.check(); err != nil {
				return err
			}
			return withEngine(func(ctx context.Context, e *engine.Engine) error {
				return load(ctx, e, o)
			})
		},
	}
	c.Flags().StringVar(&o.input, "input", "i", "FILE|DIR", "read a file or a directory in place of standard input")
	c.Flags().StringVar(&o.platform, "platform", "", "OS/ARCH[/VARIANT]", "of an image for several platforms, take this one")
	c.Flags().BoolVar(&o.quiet, "quiet", "q", "show no progress")
	return c
}

// loadOptions are what the command line says.
type loadOptions struct {
	input, platform string
	quiet           bool
	wanted          oci.Platform
}

// check refuses what cannot be before anything is begun.
func (o *loadOptions) check() (err error) {
	o.wanted = oci.HostPlatform()
	if o.platform == "" {
		return nil
	}
	if o.wanted, err = oci.ParsePlatform(o.platform); err != nil {
		return cli.Usagef("load: --platform: %v", err)
	}
	return nil
}

// name is what messages call the archive.
func (o loadOptions) name() string {
	if o.input == "" {
		return "-"
	}
	return o.input
}

// load takes in all images of an archive, one after the other, and says which.
// Those before one that is damaged stay.
func load(ctx context.Context, e *engine.Engine, o loadOptions) error {
	devices := &leftOut{name: "load " + o.name()}
	bars := newProgress(os.Stderr, o.quiet || !term.IsTerminal(int(os.Stderr.Fd())))
	in, err := e.NewIntake(engine.IntakeOptions{Decompress: compression.Decompress, LeftOut: devices.add, Progress: bars.loaded})
	if err != nil {
		return errors.Join(err, bars.Close())
	}
	loaded, err := loadImages(ctx, in, o)
	err = errors.Join(err, in.Close(), bars.Close())
	for _, img := range loaded {
		report(img)
	}
	devices.report()
	if err != nil {
		return fmt.Errorf("load %s: %w", o.name(), err)
	}
	return nil
}

// loaded shows news of a layer that comes from an archive. Of a stream its name may
// not be known.
func (p *progress) loaded(l engine.LayerProgress) {
	switch {
	case l.Layer.Digest == "":
	case l.State == engine.LayerHere:
		p.finish(l.Layer.Digest, "Already exists", true)
	case l.State == engine.LayerFetching:
		p.set(l.Layer.Digest, "Loading", l.Done, l.Layer.Size, true)
	case l.State == engine.LayerApplied:
		p.finish(l.Layer.Digest, "Loaded", false)
	}
}

func loadImages(ctx context.Context, in *engine.Intake, o loadOptions) (loaded []archive.Image, err error) {
	r, closeInput, err := openArchive(ctx, in, o.input)
	if err != nil {
		return nil, err
	}
	defer closeInput()
	images, err := r.Images(o.wanted)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		err := in.Fetch(ctx, r, img.Manifest, img.Config)
		if err == nil {
			_, err = in.Add(img.Manifest, img.Config, img.Names...)
		}
		if err != nil {
			return loaded, fmt.Errorf("image %s: %w", displayName(img), err)
		}
		loaded = append(loaded, img)
	}
	return loaded, nil
}

func displayName(img archive.Image) string {
	if len(img.Names) > 0 {
		return img.Names[0].Familiar()
	}
	return oci.FromBytes(img.Config).String()
}

// report says under which names an image was loaded, as docker does.
func report(img archive.Image) {
	id := oci.FromBytes(img.Config)
	for _, name := range img.Unusable {
		fmt.Fprintf(os.Stderr, "strata: load: %.200q is no name for an image; strata tag gives %s one\n", name, id.Short())
	}
	for _, name := range img.Names {
		fmt.Println("Loaded image: " + name.Familiar())
	}
	if len(img.Names) == 0 {
		fmt.Println("Loaded image ID: " + id.String())
	}
}

// openArchive reads a plain file at several places at once, and anything else once,
// from its beginning to its end.
func openArchive(ctx context.Context, in *engine.Intake, input string) (*archive.Reader, func(), error) {
	file := os.Stdin
	if input != "" && input != "-" {
		if info, err := os.Stat(input); err == nil && info.IsDir() {
			r, err := archive.OpenDir(input)
			if err != nil {
				return nil, nil, err
			}
			return r, func() { r.Close() }, nil
		}
		f, err := open(ctx, input, os.O_RDONLY)
		if err != nil {
			return nil, nil, err
		}
		file = f
	}
	r, err := readFile(ctx, in, file)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return r, func() { file.Close() }, nil
}

func readFile(ctx context.Context, in *engine.Intake, file *os.File) (*archive.Reader, error) {
	section, err := rest(file)
	if err != nil {
		return nil, err
	}
	var stream io.Reader = section
	if section == nil {
		stream = cancellable(ctx, file)
	}
	content, compressed, err := compression.Decompress(stream)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	if section == nil || compressed {
		return archive.ReadStream(ctx, content, taker(in))
	}
	r, err := archive.Open(section, section.Size())
	if errors.Is(err, archive.ErrSparse) {
		return archive.ReadStream(ctx, io.NewSectionReader(section, 0, section.Size()), taker(in))
	}
	return r, err
}

// rest is what is left to read of a regular file, nil for another.
func rest(file *os.File) (*io.SectionReader, error) {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	at, err := file.Seek(0, io.SeekCurrent)
	return io.NewSectionReader(file, at, info.Size()-at), err
}

// taker applies the layers of a stream, but those that are known to be here.
func taker(in *engine.Intake) archive.Take {
	return func(ctx context.Context, blob io.Reader, d oci.Descriptor, diffID oci.Digest) (archive.Taken, error) {
		if d.Digest == "" && d.MediaType == oci.MediaTypeLayer {
			d.Digest = diffID
		}
		if diffID != "" && d.Digest != "" {
			here, err := in.Here(d, diffID)
			if here || err != nil {
				return archive.Taken{Blob: d.Digest, DiffID: diffID}, err
			}
		}
		l, b, err := in.Apply(ctx, blob, d, diffID)
		return archive.Taken{Blob: b.Digest, DiffID: l.DiffID}, err
	}
}
