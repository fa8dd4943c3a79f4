// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

func versionText() string {
	return "strata " + version + " " + runtime.GOOS + "/" + runtime.GOARCH
}

// versionMain is the verb version without the command tree.
func versionMain() int {
	return report(newline(os.Stdout, versionText()))
}

func newVersionCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  exactly(0),
		RunE: func(*cobra.Command, []string) error {
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
	c.Flags().StringVar(&format, "format", "", "output: json")
	return c
}
