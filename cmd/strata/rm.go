// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newRmCommand() *cli.Command {
	var force bool
	c := &cli.Command{
		Use:   "rm [-f] CONTAINER…",
		Short: "Remove containers",
		Min:   1, Max: -1,
		Run: func(args []string) error {
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
		Complete: completeContainers,
	}
	c.Flags().BoolVar(&force, "force", "f", "kill a running container first, and do not mind one that is not there")
	return c
}
