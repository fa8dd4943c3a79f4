// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newExportCommand() *cli.Command {
	var output string
	c := &cli.Command{
		Use:   "export [-o FILE] CONTAINER",
		Short: "Write a container's root filesystem as one tar archive",
		Min:   1, Max: 1,
		Run: func(args []string) error {
			if output == "" && term.IsTerminal(int(os.Stdout.Fd())) {
				return usage(errors.New("export: an archive is not for a terminal: use -o FILE or a pipe"))
			}
			return withEngine(func(e *engine.Engine) error { return export(e, args[0], output) })
		},
		Complete: completeContainers,
	}
	c.Flags().StringVar(&output, "output", "o", "FILE", "write to a file in place of standard output")
	return c
}

// export writes to a file that is there only when it is whole.
func export(e *engine.Engine, name, output string) (err error) {
	ctx, stop := interruptible()
	defer stop()
	if output == "" {
		return buffered(os.Stdout, func(w io.Writer) error { return e.Export(ctx, name, w) })
	}
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		return exportInto(ctx, e, name, output)
	}
	f, err := os.CreateTemp(filepath.Dir(output), ".strata-export-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := errors.Join(buffered(f, func(w io.Writer) error { return e.Export(ctx, name, w) }), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

// exportInto writes to a device or a pipe, whose place a file must not take.
func exportInto(ctx context.Context, e *engine.Engine, name, output string) error {
	f, err := os.OpenFile(output, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(buffered(f, func(w io.Writer) error { return e.Export(ctx, name, w) }), f.Close())
}

func buffered(w io.Writer, f func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<20)
	return errors.Join(f(b), b.Flush())
}
