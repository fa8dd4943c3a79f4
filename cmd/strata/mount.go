// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newMountCommand() *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use:   "mount [CONTAINER|IMAGE]…",
		Short: "Mount a stopped container or an image read-only on the host and print where; with no name, list what is mounted",
		RunE: func(_ *cobra.Command, args []string) error {
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
		ValidArgsFunction: completeContainersAndImages,
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

func newUmountCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "umount CONTAINER|IMAGE…",
		Aliases: []string{"unmount"},
		Short:   "Unmount what mount has mounted",
		Args:    atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return forEach(args, func(e *engine.Engine, name string) error {
				if err := e.Unmount(name); err != nil {
					return err
				}
				_, err := fmt.Println(name)
				return err
			})
		},
		ValidArgsFunction: completeContainersAndImages,
	}
}
