// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"strata/internal/engine"
)

func completeContainers(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	withEngine(func(e *engine.Engine) error {
		entries, err := e.Containers()
		for _, c := range entries {
			names = append(names, c.Record.DisplayName())
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeImages(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	withEngine(func(e *engine.Engine) error {
		images, err := e.Images()
		for _, img := range images {
			for _, name := range img.Names {
				names = append(names, name.Familiar())
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeContainersAndImages(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	containers, _ := completeContainers(c, args, prefix)
	images, _ := completeImages(c, nil, prefix)
	return append(containers, images...), cobra.ShellCompDirectiveNoFileComp
}
