// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newRmCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "rm [-f] CONTAINER…",
		Short: "Remove containers",
		Args:  atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			err := forEach(args, func(e *engine.Engine, name string) error {
				if err := e.Remove(name, force); err != nil {
					if force && engine.IsUnknownContainer(err) {
						return nil
					}
					return fmt.Errorf("rm: %w", err)
				}
				return newline(os.Stdout, name)
			})
			withEngine(func(e *engine.Engine) error { reapLater(e); return nil })
			return err
		},
		ValidArgsFunction: completeContainers,
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "kill a running container first, and do not mind one that is not there")
	return c
}
