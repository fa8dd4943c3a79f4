// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newCatCommand() *cli.Command {
	return &cli.Command{
		Use:   "cat IMAGE|CONTAINER PATH…",
		Short: "Print files of an image or a container",
		Long:  "Print files of an image or a container, without running or mounting it. Only regular files are opened.",
		Min:   2, Max: -1,
		Run: func(args []string) error {
			return withLook(args[0], func(l *engine.Look) error {
				failed := false
				for _, path := range args[1:] {
					if err := cat(l, path); err != nil {
						fmt.Fprintln(os.Stderr, "strata: cat: "+cli.OneLine(err))
						failed = true
					}
				}
				if failed {
					return &cli.ExitError{Code: 1}
				}
				return nil
			})
		},
		Complete: completeFirst(completeContainersAndImages),
	}
}

func cat(l *engine.Look, path string) error {
	n, err := l.Find(path, true)
	if err != nil {
		return err
	}
	defer n.Close()
	f, err := n.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(os.Stdout, f)
	return err
}
