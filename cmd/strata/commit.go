// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newCommitCommand() *cli.Command {
	var o engine.CommitOptions
	c := &cli.Command{
		Use:   "commit [OPTIONS] CONTAINER [NAME[:TAG]]",
		Short: "Make an image of a container's changes",
		Min:   1, Max: 2,
		Run: func(args []string) error {
			if len(args) == 2 {
				o.Name = args[1]
			}
			ctx, stop := interruptible()
			defer stop()
			return withEngine(func(e *engine.Engine) error {
				img, err := e.Commit(ctx, args[0], o)
				if err != nil {
					return err
				}
				return newline(os.Stdout, img.ID.String())
			})
		},
		Complete: completeContainers,
	}
	c.Flags().StringVar(&o.Author, "author", "a", "AUTHOR", "author of the image")
	c.Flags().StringVar(&o.Message, "message", "m", "TEXT", "what the commit is for")
	c.Flags().StringsVar(&o.Changes, "change", "c", "INSTRUCTION", "apply a Dockerfile instruction to the image: CMD, ENV, …")
	return c
}

// interruptible is a context that ends with the first Ctrl-C or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
}
