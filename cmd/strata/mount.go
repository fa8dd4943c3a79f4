// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/rootless"
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
			if err := needsUnshare("mount"); err != nil {
				return err
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

// needsUnshare refuses what an ordinary user would see nothing of: the mount
// namespace, and what is mounted in it, ends with the command.
func needsUnshare(verb string) error {
	if !rootless.Needed() {
		return nil
	}
	return fmt.Errorf("%s: an ordinary user's mounts are seen in one mount namespace only: type strata unshare, and %s in the shell that it starts", verb, verb)
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
			if err := needsUnshare("umount"); err != nil {
				return err
			}
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
