// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newTagCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tag IMAGE NAME[:TAG]",
		Short: "Give an image another name",
		Args:  exactly(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return withEngine(func(e *engine.Engine) error {
				if err := e.Tag(args[0], args[1]); err != nil {
					return fmt.Errorf("tag: %w", err)
				}
				return nil
			})
		},
		ValidArgsFunction: completeImages,
	}
}
