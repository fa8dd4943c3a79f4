// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newCreateCommand() *cobra.Command {
	var f containerFlags
	c := &cobra.Command{
		Use:   "create [OPTIONS] IMAGE [COMMAND [ARG…]]",
		Short: "Make a container without starting it",
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(c.Flags(), args)
			if err != nil {
				return usage(fmt.Errorf("create: %w", err))
			}
			if o.AutoRemove {
				return usage(errors.New("create: --rm is for run: a container that nobody runs would be removed at once"))
			}
			return withEngine(func(e *engine.Engine) error {
				container, err := e.Create(o)
				if err != nil {
					return fmt.Errorf("create: %w", err)
				}
				defer container.Close()
				return newline(os.Stdout, container.Record.ID)
			})
		},
	}
	f.bind(c.Flags())
	c.ValidArgsFunction = completeImages
	return c
}
