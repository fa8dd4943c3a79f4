// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/image"
	"strata/internal/oci"
)

func newImagesCommand() *cli.Command {
	var l listing
	var all, digests, tree bool
	c := &cli.Command{
		Use:   "images [OPTIONS] [REPOSITORY[:TAG]]",
		Short: "List images",
		Max:   1,
		Run: func(args []string) error {
			return withEngine(func(e *engine.Engine) error {
				images, err := e.Images()
				if tree {
					return errors.Join(printImageTree(e, images, matching(args), &l), err)
				}
				if printErr := printImages(e, images, digests, matching(args), &l); printErr != nil {
					return printErr
				}
				return err
			})
		},
		Complete: completeImages,
	}
	c.Flags().BoolVar(&all, "all", "a", "no effect: all images are shown")
	c.Flags().BoolVar(&digests, "digests", "", "show the manifests' digests")
	c.Flags().BoolVar(&tree, "tree", "", "show images beneath those whose layers they go on from, and which bytes they share")
	l.bind(c)
	return c
}

func printImages(e *engine.Engine, images []image.Image, digests bool, match func(oci.Reference) bool, l *listing) error {
	columns := []column{
		{"REPOSITORY", "Repository"}, {"TAG", "Tag"}, {"DIGEST", "Digest"}, {"IMAGE ID", "ID"},
		{"CREATED", "CreatedSince"}, {"SIZE", "Size"}, {"", "CreatedAt"},
	}
	if !digests {
		columns[2].heading = ""
	}
	var rows [][]any
	for _, img := range images {
		bytes, err := e.ImageSize(img)
		if err != nil {
			return err
		}
		for _, name := range namesOf(img) {
			if match(name) {
				rows = append(rows, imageRow(img, name, bytes, l.noTrunc))
			}
		}
	}
	return l.print(columns, rows)
}

// matching tells which names a filter leaves: those of the repository, with the
// tag if it has one.
func matching(args []string) func(oci.Reference) bool {
	if len(args) == 0 {
		return func(oci.Reference) bool { return true }
	}
	want, err := oci.ParseReference(args[0])
	return func(name oci.Reference) bool {
		return err == nil && name.Name() == want.Name() && (want.Tag == "" || name.Tag == want.Tag)
	}
}

// namesOf is the image's names, or one that is empty.
func namesOf(img image.Image) []oci.Reference {
	if len(img.Names) == 0 {
		return []oci.Reference{{}}
	}
	return img.Names
}

func imageRow(img image.Image, name oci.Reference, bytes int64, whole bool) []any {
	repository, tag := "<none>", "<none>"
	if name.Repository != "" {
		repository = oci.Reference{Domain: name.Domain, Repository: name.Repository}.Familiar()
		if name.Tag != "" {
			tag = name.Tag
		}
	}
	id := img.ID.Short()
	if whole {
		id = img.ID.String()
	}
	since, at := "N/A", ""
	if created := img.Config.Created; created != nil {
		since, at = ago(*created), created.Format(time.RFC3339)
	}
	return []any{repository, tag, img.Manifest, id, since, size(bytes), at}
}
