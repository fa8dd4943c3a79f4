// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newGcCommand() *cli.Command {
	var trashOnly, quiet, noWait bool
	c := &cli.Command{
		Use:   "gc",
		Short: "Delete what nothing refers to, and what interrupted commands left behind",
		Min:   0, Max: 0,
		Run: func([]string) error {
			ctx, stop := interruptible()
			defer stop()
			return withEngine(func(e *engine.Engine) error {
				var garbage engine.Garbage
				var err error
				if !trashOnly {
					garbage, err = e.Collect()
				}
				reaped, reapErr := e.Reap(ctx, !noWait)
				if !quiet {
					fmt.Printf("%d layers, %d containers, %d staging directories and %d blobs collected; %d files deleted\n",
						len(garbage.Layers), garbage.Containers, garbage.Staging, garbage.Blobs, reaped.Entries)
				}
				return errors.Join(err, reapErr)
			})
		},
	}
	c.Flags().BoolVar(&trashOnly, "trash-only", "", "only delete what has been removed already")
	c.Flags().BoolVar(&quiet, "quiet", "q", "print nothing")
	c.Flags().BoolVar(&noWait, "no-wait", "", "do nothing if another gc is deleting")
	return c
}
