// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newGcCommand() *cobra.Command {
	var trashOnly, quiet bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Delete what nothing refers to, and what interrupted commands left behind",
		Args:  exactly(0),
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible()
			defer stop()
			return withEngine(func(e *engine.Engine) error {
				var garbage engine.Garbage
				var err error
				if !trashOnly {
					garbage, err = e.Collect()
				}
				reaped, reapErr := e.Reap(ctx)
				if !quiet {
					fmt.Printf("%d layers, %d containers, %d staging directories and %d blobs collected; %d files deleted\n",
						len(garbage.Layers), garbage.Containers, garbage.Staging, garbage.Blobs, reaped.Entries)
				}
				return errors.Join(err, reapErr)
			})
		},
	}
	c.Flags().BoolVar(&trashOnly, "trash-only", false, "only delete what has been removed already")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing")
	return c
}
