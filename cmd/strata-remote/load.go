// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"

	"strata/internal/archive"
	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/oci"
)

func newLoadCommand() *cli.Command {
	var input string
	var quiet bool
	c := &cli.Command{
		Use:   "load [OPTIONS]",
		Short: "Take in images from an archive",
		Long: `Take in images that save wrote, or another tool: an OCI layout, as a tar archive
or a directory, or what docker save writes. It is told by its content, and gzip
or zstd may be around it. Without -i it is read from standard input.`,
		Max: 0,
		Run: func([]string) error {
			if (input == "" || input == "-") && term.IsTerminal(int(os.Stdin.Fd())) {
				return cli.Usagef("load: an archive does not come from a terminal: use -i FILE or a pipe")
			}
			return withEngine(func(ctx context.Context, e *engine.Engine) error {
				if err := load(ctx, e, input, quiet); err != nil {
					return fmt.Errorf("load %s: %w", inputName(input), err)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&input, "input", "i", "FILE|DIR", "read a file or a directory in place of standard input")
	c.Flags().BoolVar(&quiet, "quiet", "q", "show no progress")
	return c
}

func inputName(input string) string {
	if input == "" {
		return "-"
	}
	return input
}

// load takes in all images of an archive, one after the other.
func load(ctx context.Context, e *engine.Engine, input string, quiet bool) (err error) {
	devices := &leftOut{name: "load " + inputName(input)}
	in, err := e.NewIntake(engine.IntakeOptions{Decompress: compression.Decompress, LeftOut: devices.add})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r, closeInput, err := openArchive(ctx, in, input)
	if err != nil {
		return err
	}
	defer closeInput()
	images, err := r.Images(hostPlatform())
	if err != nil {
		return err
	}
	for _, img := range images {
		if err := loadImage(ctx, in, r, img); err != nil {
			return err
		}
	}
	devices.report()
	return nil
}

func hostPlatform() oci.Platform { return oci.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// loadImage takes in one image, and says under which names.
func loadImage(ctx context.Context, in *engine.Intake, r *archive.Reader, img archive.Image) error {
	err := in.Fetch(ctx, r, img.Manifest, img.Config)
	if err == nil {
		_, err = in.Add(img.Manifest, img.Config, img.Names...)
	}
	id := oci.FromBytes(img.Config)
	if err != nil {
		name := id.String()
		if len(img.Names) > 0 {
			name = img.Names[0].Familiar()
		}
		return fmt.Errorf("image %s: %w", name, err)
	}
	for _, name := range img.Unusable {
		fmt.Fprintf(os.Stderr, "strata: load: %.200q is no name for an image; strata tag gives %s one\n", name, id.Short())
	}
	for _, name := range img.Names {
		fmt.Println("Loaded image: " + name.Familiar())
	}
	if len(img.Names) == 0 {
		fmt.Println("Loaded image ID: " + id.String())
	}
	return nil
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
		f, err := openInput(ctx, input)
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

// openInput opens a file; one that is a pipe waits for who writes to it, or for ctx.
func openInput(ctx context.Context, path string) (*os.File, error) {
	var f *os.File
	opened := make(chan error, 1)
	go func() {
		var err error
		f, err = os.Open(path)
		opened <- err
	}()
	select {
	case err := <-opened:
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err // the path is in the message already
		}
		return f, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
