// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newCpCommand() *cli.Command {
	var follow bool
	c := &cli.Command{
		Use:   "cp [-L] IMAGE|CONTAINER:PATH -",
		Short: "Write a file or directory of an image or a container as a tar archive",
		Long:  "Write a file or directory of an image or a container as a tar archive, without running or mounting it. The archive has what docker cp writes to \"-\": the entry by its own name, with all beneath it, or for PATH/. what is in the directory.",
		Min:   2, Max: 2,
		Run: func(args []string) error {
			name, path, err := copySource(args)
			if err != nil {
				return usage(fmt.Errorf("cp: %w", err))
			}
			ctx, stop := interruptible()
			defer stop()
			err = withLook(name, func(l *engine.Look) error {
				return buffered(os.Stdout, func(w io.Writer) error { return l.Archive(ctx, path, follow, w) })
			})
			if err != nil {
				return fmt.Errorf("cp: %w", err)
			}
			return nil
		},
		Complete: func(args []string) []string {
			if len(args) > 0 {
				return nil
			}
			var names []string
			for _, name := range completeContainersAndImages(nil) {
				names = append(names, name+":")
			}
			return names
		},
	}
	c.Flags().BoolVar(&follow, "follow-link", "L", "a link at the end of PATH is what it points to")
	return c
}

// copySource reads the arguments. A PATH that begins with a slash is found
// whatever colons the name has; one that does not begins after the last colon.
func copySource(args []string) (name, path string, err error) {
	at := strings.Index(args[0], ":/")
	if at < 0 {
		at = strings.LastIndexByte(args[0], ':')
	}
	switch {
	case at < 1 || args[0][0] == '/' || args[0][0] == '.':
		return "", "", fmt.Errorf("%s is no IMAGE:PATH or CONTAINER:PATH; nothing is copied into either: a container shares directories with --volume", args[0])
	case args[1] != "-":
		return "", "", fmt.Errorf("the destination can only be -: strata cp %s - | tar -C %s -x", args[0], args[1])
	case term.IsTerminal(int(os.Stdout.Fd())):
		return "", "", errors.New("an archive is not for a terminal: use a pipe")
	}
	return args[0][:at], args[0][at+1:], nil
}
