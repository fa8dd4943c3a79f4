// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newPauseCommand() *cli.Command {
	return pauseCommand("pause", "Stop all processes of containers until unpause", (*engine.Engine).Pause)
}

func newUnpauseCommand() *cli.Command {
	return pauseCommand("unpause", "Let paused containers go on", (*engine.Engine).Unpause)
}

func pauseCommand(name, short string, do func(*engine.Engine, string) error) *cli.Command {
	return &cli.Command{
		Use:   name + " CONTAINER…",
		Short: short,
		Min:   1, Max: -1,
		Run: func(args []string) error {
			return forEach(args, func(e *engine.Engine, container string) error {
				if err := do(e, container); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				return newline(os.Stdout, container)
			})
		},
		Complete: completeContainers,
	}
}
