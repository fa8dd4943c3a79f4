// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/store"
)

func newDfCommand() *cli.Command {
	var verbose bool
	var l listing
	c := &cli.Command{
		Use:   "df [-v]",
		Short: "Show what images, layers and containers take on disk",
		Min:   0, Max: 0,
		Run: func([]string) error {
			return withEngine(func(e *engine.Engine) error {
				u, err := e.DiskUsage()
				if err != nil {
					return err
				}
				if verbose {
					return printUsage(u, &l)
				}
				return printSummary(u, &l)
			})
		},
	}
	c.Flags().BoolVar(&verbose, "verbose", "v", "each image, layer and container")
	l.bind(c)
	c.Flags().Hide("quiet")
	return c
}

// summaryRow is one of `docker system df`, with apparent size and inodes beside.
type summaryRow struct {
	kind          string
	total, active int
	usage         store.Usage
	reclaimable   int64 // bytes
}

func (r *summaryRow) add(u store.Usage, active bool) {
	r.usage = r.usage.Plus(u)
	if !active {
		r.reclaimable += u.Allocated
	}
}

// summary counts each layer once, with the images, whoever shares it.
func summary(u engine.DiskUsage) []summaryRow {
	images := summaryRow{kind: "Images", total: len(u.Images)}
	for _, img := range u.Images {
		if img.Containers > 0 {
			images.active++
		}
	}
	for _, layer := range u.Layers {
		images.add(layer.Usage, layer.Containers > 0)
	}
	containers := summaryRow{kind: "Containers", total: len(u.Containers)}
	for _, c := range u.Containers {
		running := c.Entry.State.Running()
		if running {
			containers.active++
		}
		containers.add(c.Usage, running)
	}
	trash := summaryRow{kind: "Trash", total: u.TrashEntries}
	trash.add(u.Trash, false)
	return []summaryRow{images, containers, trash}
}

func printSummary(u engine.DiskUsage, l *listing) error {
	var rows [][]any
	for _, r := range summary(u) {
		rows = append(rows, []any{
			r.kind, r.total, r.active, size(r.usage.Allocated), size(r.usage.Apparent), r.usage.Inodes, size(r.reclaimable),
			r.usage.Allocated, r.usage.Apparent, r.reclaimable,
		})
	}
	return l.print([]column{
		{"TYPE", "Type"}, {"TOTAL", "TotalCount"}, {"ACTIVE", "Active"}, {"SIZE", "Size"}, {"APPARENT", "Apparent"},
		{"INODES", "Inodes"}, {"RECLAIMABLE", "Reclaimable"}, {"", "SizeBytes"}, {"", "ApparentBytes"}, {"", "ReclaimableBytes"},
	}, rows)
}

func printUsage(u engine.DiskUsage, l *listing) error {
	for _, section := range []struct {
		title string
		print func(engine.DiskUsage, *listing) error
	}{
		{"Images", printImageUsage}, {"Layers", printLayerUsage}, {"Containers", printContainerUsage},
	} {
		if l.format == "table" {
			fmt.Printf("%s:\n", section.title)
		}
		if err := section.print(u, l); err != nil {
			return err
		}
		if l.format == "table" {
			fmt.Println()
		}
	}
	return nil
}

func printImageUsage(u engine.DiskUsage, l *listing) error {
	var rows [][]any
	for _, img := range u.Images {
		for _, name := range namesOf(img.Image) {
			text := name.Familiar()
			if name.Repository == "" {
				text = "<none>"
			}
			rows = append(rows, []any{"image", text, img.Image.ID.Short(), len(img.Image.Layers), size(img.Usage.Apparent), size(img.Usage.Allocated),
				size(img.Shared), size(img.Unique), img.Usage.Inodes, img.Containers,
				img.Usage.Apparent, img.Usage.Allocated, img.Shared, img.Unique})
		}
	}
	return l.print([]column{
		{"", "Type"}, {"NAME", "Name"}, {"IMAGE ID", "ID"}, {"LAYERS", "Layers"}, {"APPARENT", "Apparent"}, {"SIZE", "Size"},
		{"SHARED SIZE", "SharedSize"}, {"UNIQUE SIZE", "UniqueSize"}, {"INODES", "Inodes"}, {"CONTAINERS", "Containers"},
		{"", "ApparentBytes"}, {"", "SizeBytes"}, {"", "SharedBytes"}, {"", "UniqueBytes"},
	}, rows)
}

func printLayerUsage(u engine.DiskUsage, l *listing) error {
	var rows [][]any
	for _, layer := range u.Layers {
		rows = append(rows, []any{"layer", layer.ID.Short(), size(layer.Usage.Apparent), size(layer.Usage.Allocated), layer.Usage.Inodes,
			layer.Images, layer.Containers, layer.Usage.Apparent, layer.Usage.Allocated, layer.ID})
	}
	return l.print([]column{
		{"", "Type"}, {"LAYER", "ID"}, {"APPARENT", "Apparent"}, {"SIZE", "Size"}, {"INODES", "Inodes"}, {"IMAGES", "Images"},
		{"CONTAINERS", "Containers"}, {"", "ApparentBytes"}, {"", "SizeBytes"}, {"", "DiffID"},
	}, rows)
}

func printContainerUsage(u engine.DiskUsage, l *listing) error {
	var rows [][]any
	for _, c := range u.Containers {
		r := &c.Entry.Record
		rows = append(rows, []any{"container", r.ID[:12], r.DisplayName(), imageOf(r), size(c.Usage.Apparent), size(c.Usage.Allocated),
			c.Usage.Inodes, statusText(c.Entry.State), c.Usage.Apparent, c.Usage.Allocated})
	}
	return l.print([]column{
		{"", "Type"}, {"CONTAINER ID", "ID"}, {"NAMES", "Names"}, {"IMAGE", "Image"}, {"APPARENT", "Apparent"}, {"SIZE", "Size"},
		{"INODES", "Inodes"}, {"STATUS", "Status"}, {"", "ApparentBytes"}, {"", "SizeBytes"},
	}, rows)
}
