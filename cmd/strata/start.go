// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newStartCommand() *cobra.Command {
	var attached, interactive bool
	c := &cobra.Command{
		Use:   "start -a [-i] CONTAINER",
		Short: "Start a stopped container again",
		Args:  exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !attached && !interactive {
				return usage(errors.New("start: containers run in the foreground: add -a to attach to its output, or -i for its input too"))
			}
			return withEngine(func(e *engine.Engine) error { return start(e, args[0], interactive) })
		},
		ValidArgsFunction: completeContainers,
	}
	c.Flags().BoolVarP(&attached, "attach", "a", false, "attach to its output and forward signals")
	c.Flags().BoolVarP(&interactive, "interactive", "i", false, "attach to its input too")
	return c
}

func start(e *engine.Engine, name string, interactive bool) error {
	c, err := e.Lock(name)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer c.Close()
	stdin := interactive && c.Record.Host.OpenStdin
	if err := checkTerminal(c.Record.Host); stdin && err != nil {
		return fmt.Errorf("start: %w", err)
	}
	code, err := foreground(e, c, stdin)
	return ended(code, c, err)
}
