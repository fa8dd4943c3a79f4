// SPDX-License-Identifier: Apache-2.0

package main

import "strata/internal/cli"

// newImageCommand is Docker's other names for the verbs of images.
func newImageCommand() *cli.Command {
	return &cli.Command{
		Use:   "image COMMAND",
		Short: "Manage images",
		Verbs: []cli.Verb{
			{Name: "history", New: newHistoryCommand}, {Name: "import", New: newImportCommand}, {Name: "inspect", New: newInspectCommand},
			{Name: "load", New: newLoadCommand}, {Name: "ls", New: newImagesCommand}, {Name: "prune", New: newImagePruneCommand},
			{Name: "pull", New: newPullCommand}, {Name: "push", New: newPushCommand}, {Name: "rm", New: newRmiCommand},
			{Name: "save", New: newSaveCommand}, {Name: "tag", New: newTagCommand},
		},
	}
}
