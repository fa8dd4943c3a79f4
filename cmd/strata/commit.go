// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"strata/internal/engine"
)

func newCommitCommand() *cobra.Command {
	var o engine.CommitOptions
	c := &cobra.Command{
		Use:   "commit [OPTIONS] CONTAINER [NAME[:TAG]]",
		Short: "Make an image of a container's changes",
		Args:  cobra.MatchAll(atLeast(1), atMost(2)),
		RunE: func(_ *cobra.Command, args []string) error {
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
		ValidArgsFunction: completeContainers,
	}
	c.Flags().StringVarP(&o.Author, "author", "a", "", "author of the image")
	c.Flags().StringVarP(&o.Message, "message", "m", "", "what the commit is for")
	c.Flags().StringArrayVarP(&o.Changes, "change", "c", nil, "apply a Dockerfile instruction to the image: CMD, ENV, …")
	return c
}

// interruptible is a context that ends with the first Ctrl-C or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
}
