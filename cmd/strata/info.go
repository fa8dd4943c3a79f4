// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newInfoCommand() *cli.Command {
	var format string
	c := &cli.Command{
		Use:   "info",
		Short: "Show the store and what the kernel offers",
		Min:   0, Max: 0,
		Run: func([]string) error {
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
	c.Flags().StringVar(&format, "format", "f", "FORMAT", "output: json")
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
