// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func newInfoCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "info",
		Short: "Show the store and what the kernel offers",
		Args:  exactly(0),
		RunE: func(*cobra.Command, []string) error {
			return withEngine(func(e *engine.Engine) error {
				info, err := e.Info()
				if err != nil {
					return err
				}
				switch format {
				case "json":
					return printDocument(info)
				case "":
					return printInfo(info)
				}
				return usage(fmt.Errorf("info: --format %s: only json is supported", format))
			})
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "", "output: json")
	return c
}

func printInfo(info engine.Info) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, row := range [][2]any{
		{"Version", version}, {"Store", info.Root}, {"Store format", info.Format}, {"Form of layers", info.LayerForm},
		{"Filesystem", info.Filesystem}, {"Images", info.Images}, {"Containers", info.Containers},
		{"Running", info.Running}, {"Kernel", info.Kernel}, {"Rootless", info.Rootless},
	} {
		fmt.Fprintf(w, "%s:\t%v\n", row[0], row[1])
	}
	for _, f := range info.Features {
		answer := "no"
		if f.Present {
			answer = "yes"
		}
		if f.Note != "" {
			answer += " (" + f.Note + ")"
		}
		fmt.Fprintf(w, "%s:\t%s\n", f.Name, answer)
	}
	return w.Flush()
}
