// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newSquashCommand() *cli.Command {
	var o engine.SquashOptions
	c := &cli.Command{
		Use:   "squash [OPTIONS] IMAGE NAME[:TAG]",
		Short: "Make an image of one layer, or of fewer, that shows the same files",
		Long: "Make an image that shows the same files and runs the same way, with all layers, or those from one on, flattened into one.\n" +
			"The history keeps its steps and gets one more. Equal images give equal digests.",
		Min: 2, Max: 2,
		Run: func(args []string) error {
			ctx, stop := interruptible()
			defer stop()
			o.Name = args[1]
			return withEngine(func(e *engine.Engine) error {
				img, err := e.Squash(ctx, args[0], o)
				if err != nil {
					return err
				}
				reapLater(e)
				return newline(os.Stdout, img.ID.String())
			})
		},
		Complete: completeFirst(completeImages),
	}
	c.Flags().StringVar(&o.From, "from", "", "LAYER|N", "the oldest layer to flatten, or the number of the step that made it (history --layers); older ones stay")
	c.Flags().StringVar(&o.Message, "message", "m", "TEXT", "the comment of the new step in the history")
	return c
}
