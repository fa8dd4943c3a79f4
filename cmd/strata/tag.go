// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newTagCommand() *cli.Command {
	return &cli.Command{
		Use:   "tag IMAGE NAME[:TAG]",
		Short: "Give an image another name",
		Min:   2, Max: 2,
		Run: func(args []string) error {
			return withEngine(func(e *engine.Engine) error {
				if err := e.Tag(args[0], args[1]); err != nil {
					return fmt.Errorf("tag: %w", err)
				}
				return nil
			})
		},
		Complete: completeImages,
	}
}
