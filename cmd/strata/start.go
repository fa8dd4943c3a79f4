// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newStartCommand() *cli.Command {
	var attached, interactive bool
	var keys string
	c := &cli.Command{
		Use:   "start -a [-i] CONTAINER",
		Short: "Start a stopped container again",
		Min:   1, Max: 1,
		Run: func(args []string) error {
			if !attached && !interactive {
				return usage(errors.New("start: containers run in the foreground: add -a to attach to its output, or -i for its input too"))
			}
			in, err := newInput(interactive, keys)
			if err != nil {
				return usage(fmt.Errorf("start: %w", err))
			}
			return withEngine(func(e *engine.Engine) error { return start(e, args[0], in) })
		},
		Complete: completeContainers,
	}
	c.Flags().BoolVar(&attached, "attach", "a", "attach to its output and forward signals")
	detachFlag(c.Flags(), &keys)
	c.Flags().BoolVar(&interactive, "interactive", "i", "attach to its input too")
	return c
}

func start(e *engine.Engine, name string, in input) error {
	c, err := e.Lock(name)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer c.Close()
	in.stdin = in.stdin && c.Record.Host.OpenStdin
	if err := checkTerminal(c.Record.Host); in.stdin && err != nil {
		return fmt.Errorf("start: %w", err)
	}
	code, err := foreground(e, c, nil, in)
	return ended(code, c, err)
}
