// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newRmiCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "rmi [-f] IMAGE…",
		Short: "Remove images",
		Args:  atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			err := forEach(args, func(e *engine.Engine, name string) error {
				removed, err := e.RemoveImage(name, force)
				for _, untagged := range removed.Untagged {
					fmt.Println("Untagged: " + untagged)
				}
				for _, digest := range removed.Deleted {
					fmt.Println("Deleted: " + digest.String())
				}
				if err != nil {
					return fmt.Errorf("rmi: %w", err)
				}
				return nil
			})
			withEngine(func(e *engine.Engine) error { reapLater(e); return nil })
			return err
		},
		ValidArgsFunction: completeImages,
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "remove all names, and an image that containers were made from")
	return c
}
