// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"

	"strata/internal/cli"
)

func versionText() string {
	return "strata " + version + " " + runtime.GOOS + "/" + runtime.GOARCH
}

func newVersionCommand() *cli.Command {
	var format string
	c := &cli.Command{
		Use:   "version",
		Short: "Show the version",
		Min:   0, Max: 0,
		Run: func([]string) error {
			switch format {
			case "":
				return newline(os.Stdout, versionText())
			case "json":
				return printDocument(map[string]string{
					"Version": version, "Os": runtime.GOOS, "Arch": runtime.GOARCH, "GoVersion": runtime.Version(),
				})
			}
			return usage(fmt.Errorf("version: --format %s: only json is supported", format))
		},
	}
	c.Flags().StringVar(&format, "format", "", "FORMAT", "output: json")
	return c
}
