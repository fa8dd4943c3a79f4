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
	c := &cli.Command{
		Use:   "history [OPTIONS] IMAGE",
		Short: "Show how an image came to be, newest step first",
		Min:   1, Max: 1,
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
				return l.print([]column{
					{"IMAGE", "ID"}, {"CREATED", "CreatedSince"}, {"CREATED BY", "CreatedBy"}, {"SIZE", "Size"},
					{"COMMENT", "Comment"}, {"", "CreatedAt"}, {"", "DiffID"},
				}, rows)
			})
		},
		Complete: completeImages,
	}
	l.bind(c)
	return c
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
