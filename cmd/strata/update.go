// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newUpdateCommand() *cli.Command {
	var f resourceFlags
	c := &cli.Command{
		Use:   "update [OPTIONS] CONTAINER…",
		Short: "Change limits of containers, also while they run",
		Min:   1, Max: -1,
		Complete: completeContainers,
	}
	f.bind(c.Flags())
	c.Run = func(args []string) error {
		changed, err := f.resources()
		if err == nil && changed == nil {
			err = errors.New("no limit given; see strata update --help")
		}
		if err != nil {
			return usage(fmt.Errorf("update: %w", err))
		}
		return forEach(args, func(e *engine.Engine, name string) error {
			if err := e.Update(name, changed); err != nil {
				return fmt.Errorf("update %s: %w", name, err)
			}
			return newline(os.Stdout, name)
		})
	}
	return c
}
