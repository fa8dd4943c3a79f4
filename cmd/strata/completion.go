// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strata/internal/engine"
)

func completeContainers([]string) []string {
	var names []string
	withEngine(func(e *engine.Engine) error {
		entries, err := e.Containers()
		for _, c := range entries {
			names = append(names, c.Record.DisplayName())
		}
		return err
	})
	return names
}

func completeImages(args []string) []string {
	if len(args) > 0 {
		return nil
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
	return names
}

func completeContainersAndImages(args []string) []string {
	return append(completeContainers(args), completeImages(nil)...)
}
