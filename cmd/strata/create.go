// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
)

func newCreateCommand() *cli.Command {
	var f containerFlags
	c := &cli.Command{
		Use:   "create [OPTIONS] IMAGE [COMMAND [ARG…]]",
		Short: "Make a container without starting it",
		Max:   -1,
	}
	f.bind(c.Flags())
	c.Run = func(args []string) error { return create(&f, c.Flags(), args) }
	c.Complete = completeImages
	return c
}

func create(f *containerFlags, fs *cli.FlagSet, args []string) error {
	o, err := f.options(fs, args)
	if err != nil {
		return usage(fmt.Errorf("create: %w", err))
	}
	if o.AutoRemove {
		return usage(errors.New("create: --rm is for run: a container that nobody runs would be removed at once"))
	}
	return withEngine(func(e *engine.Engine) error {
		var made *container.Container
		err := f.pull.provide(e, &o, func() (err error) {
			made, err = e.Create(o)
			return err
		})
		if err != nil {
			return fmt.Errorf("create: %w", err)
		}
		defer made.Close()
		return newline(os.Stdout, made.Record.ID)
	})
}
