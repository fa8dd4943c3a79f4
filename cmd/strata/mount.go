// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newMountCommand() *cli.Command {
	var l listing
	c := &cli.Command{
		Use:   "mount [CONTAINER|IMAGE]…",
		Short: "Mount a stopped container or an image read-only on the host and print where; with no name, list what is mounted",
		Max:   -1,
		Run: func(args []string) error {
			if len(args) == 0 {
				return withEngine(func(e *engine.Engine) error { return printMounted(e, &l) })
			}
			return forEach(args, func(e *engine.Engine, name string) error {
				path, err := e.Mount(name)
				if err != nil {
					return err
				}
				return newline(os.Stdout, path)
			})
		},
		Complete: completeContainersAndImages,
	}
	l.bind(c)
	return c
}

func printMounted(e *engine.Engine, l *listing) error {
	trees, err := e.Mounted()
	if err != nil {
		return err
	}
	var rows [][]any
	for _, t := range trees {
		rows = append(rows, []any{t.Name, t.Path})
	}
	return l.print([]column{{"NAME", "ID"}, {"PATH", "Path"}}, rows)
}

func newUmountCommand() *cli.Command {
	return &cli.Command{
		Use:   "umount CONTAINER|IMAGE…",
		Short: "Unmount what mount has mounted",
		Min:   1, Max: -1,
		Run: func(args []string) error {
			return forEach(args, func(e *engine.Engine, name string) error {
				if err := e.Unmount(name); err != nil {
					return err
				}
				_, err := fmt.Println(name)
				return err
			})
		},
		Complete: completeContainersAndImages,
	}
}
