// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/image"
)

func newHistoryCommand() *cli.Command {
	var l listing
	var layers bool
	c := &cli.Command{
		Use:   "history [OPTIONS] IMAGE",
		Short: "Show how an image came to be, newest step first",
		Long: "Show how an image came to be, newest step first.\n" +
			"With --layers, of each step's layer too: its number, digest, files, and the bytes of older layers' files that it hides.",
		Min: 1, Max: 1,
		Run: func(args []string) error {
			return withEngine(func(e *engine.Engine) error {
				img, err := e.Image(args[0])
				if err != nil {
					return err
				}
				rows, err := historyRows(e, img, l.noTrunc)
				if err != nil {
					return err
				}
				columns := []column{
					{"IMAGE", "ID"}, {"CREATED", "CreatedSince"}, {"CREATED BY", "CreatedBy"}, {"SIZE", "Size"},
					{"COMMENT", "Comment"}, {"", "CreatedAt"}, {"", "DiffID"},
				}
				if layers && !l.quiet {
					columns, rows, err = withLayers(e, img, columns, rows, &l)
				}
				if err != nil {
					return err
				}
				return l.print(columns, rows)
			})
		},
		Complete: completeImages,
	}
	l.bind(c)
	c.Flags().BoolVar(&layers, "layers", "", "also what the layer of each step has and hides, which takes a walk through all")
	return c
}

// withLayers adds what is only known after a walk through the layers. The comment
// stays the last column of a table, because it may be long.
func withLayers(e *engine.Engine, img image.Image, columns []column, rows [][]any, l *listing) ([]column, [][]any, error) {
	stats, err := e.LayerStats(img)
	if err != nil {
		return nil, nil, err
	}
	const comment = 4
	columns = slices.Insert(columns, comment, column{"FILES", "Files"}, column{"HIDES", ""}, column{"STEP", "Step"}, column{"LAYER", ""})
	columns = append(columns, column{"", "SizeBytes"}, column{"", "HiddenBytes"})
	for i := range rows { // newest first
		number := len(rows) - i
		cells, exact := []any{0, "", number, ""}, []any{0, 0}
		if at := slices.IndexFunc(stats, func(s engine.LayerStats) bool { return s.Step.Number == number }); at >= 0 {
			s := stats[at]
			cells, exact = []any{s.Files, size(s.Hidden), number, s.ID.Short()}, []any{s.Size, s.Hidden}
			if l.noTrunc {
				cells[3] = s.ID.String()
			}
		}
		rows[i] = append(slices.Insert(rows[i], comment, cells...), exact...)
	}
	return columns, rows, nil
}

// historyRows has a row for each step. Only the newest has an image ID: the
// steps before it were images where they were made.
func historyRows(e *engine.Engine, img image.Image, whole bool) ([][]any, error) {
	var rows [][]any
	next := 0
	for _, step := range img.Config.History {
		bytes, diffID := int64(0), ""
		if !step.EmptyLayer && next < len(img.Layers) {
			n, err := e.LayerSize(img.Layers[next])
			if err != nil {
				return nil, err
			}
			bytes, diffID = n, img.Layers[next].String()
			next++
		}
		since, at := "N/A", ""
		if step.Created != nil {
			since, at = ago(*step.Created), step.Created.Format(time.RFC3339)
		}
		by := step.CreatedBy
		if !whole {
			by = shorten(by, 45)
		}
		rows = append(rows, []any{"<missing>", since, by, size(bytes), step.Comment, at, diffID})
	}
	slices.Reverse(rows)
	if len(rows) > 0 {
		rows[0][0] = img.ID.Short()
		if whole {
			rows[0][0] = img.ID.String()
		}
	}
	return rows, nil
}
