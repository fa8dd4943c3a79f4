// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newRmiCommand() *cli.Command {
	var force bool
	c := &cli.Command{
		Use:   "rmi [-f] IMAGE…",
		Short: "Remove images",
		Min:   1, Max: -1,
		Run: func(args []string) error {
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
		Complete: completeImages,
	}
	c.Flags().BoolVar(&force, "force", "f", "remove all names, and an image that containers were made from")
	return c
}
