// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/image"
)

func newImportCommand() *cli.Command {
	var o engine.ImportOptions
	c := &cli.Command{
		Use:   "import [OPTIONS] FILE|DIRECTORY|- [NAME[:TAG]]",
		Short: "Make an image of a root filesystem",
		Long: `Make an image of one layer from a root filesystem: a tar archive, plain or
compressed with gzip or zstd, "-" for one on standard input, or a directory,
which is only read.`,
		Min: 1, Max: 2,
		Run: func(args []string) error {
			if len(args) == 2 {
				o.Name = args[1]
			}
			o.Source = args[0]
			return withEngine(func(ctx context.Context, e *engine.Engine) error {
				devices := &leftOut{name: "import " + args[0]}
				o.LeftOut = devices.add
				img, err := importFrom(ctx, e, args[0], o)
				if err != nil {
					return fmt.Errorf("import %s: %w", args[0], err)
				}
				devices.report()
				_, err = fmt.Println(img.ID)
				return err
			})
		},
	}
	c.Flags().StringsVar(&o.Changes, "change", "c", "INSTRUCTION", "apply a Dockerfile instruction to the image: CMD, ENV, …")
	c.Flags().StringVar(&o.Message, "message", "m", "TEXT", "what the image is for")
	return c
}

// importFrom tells a directory from an archive.
func importFrom(ctx context.Context, e *engine.Engine, source string, o engine.ImportOptions) (image.Image, error) {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		return e.ImportDir(ctx, source, o)
	}
	file := os.Stdin
	if source != "-" {
		f, err := os.Open(source)
		if err != nil {
			return image.Image{}, fmt.Errorf("%w; give a tar archive, a directory, or - for standard input", err)
		}
		file = f
	}
	defer file.Close()
	archive, err := compression.NewReader(cancellable(ctx, file))
	if err != nil {
		return image.Image{}, err
	}
	defer archive.Close()
	return e.Import(ctx, archive, o)
}

// cancellable is file, but a read that waits for a pipe or a terminal ends with
// ctx.
func cancellable(ctx context.Context, file *os.File) io.Reader {
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		return file
	}
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.CopyBuffer(w, struct{ io.Reader }{file}, make([]byte, 256<<10))
		w.CloseWithError(err)
	}()
	return r
}
