// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newBlameCommand() *cli.Command {
	var o engine.BlameOptions
	var whole bool
	format := "table"
	c := &cli.Command{
		Use:   "blame [OPTIONS] IMAGE [PATH]",
		Short: "Show which layer and step of the history made or changed each file of an image",
		Long: "Show, for PATH and each path beneath it, the layer and the step of the history that made it (A) or changed it last (C).\n" +
			"Columns: layer, number of the step as history --layers has it, CREATED BY, kind, path.",
		Min: 1, Max: 2,
		Run: func(args []string) error {
			if format != "table" && format != "json" {
				return usage(fmt.Errorf("blame: --format %s: it is table or json", format))
			}
			o.Path = strings.Join(args[1:], "")
			w := bufio.NewWriterSize(os.Stdout, 64<<10)
			print := blameJSON(w)
			if format == "table" {
				print = blameTable(w, whole)
			}
			err := withEngine(func(e *engine.Engine) error { return e.Blame(args[0], o, print) })
			return errors.Join(err, w.Flush())
		},
		Complete: completeFirst(completeImages),
	}
	c.Flags().BoolVar(&o.Deleted, "deleted", "d", "paths that were deleted (D) too")
	c.Flags().BoolVar(&o.All, "all", "a", "every change of every path, oldest first, deletions too")
	c.Flags().StringVar(&format, "format", "", "FORMAT", "output: table, or json with one object for each line")
	c.Flags().BoolVar(&whole, "no-trunc", "", "do not shorten")
	return c
}

// createdByWidth is how much of a step's command is shown, in characters.
const createdByWidth = 30

// blameTable has columns of fixed widths: a line is printed when it is known.
func blameTable(w *bufio.Writer, whole bool) func(engine.Blamed) error {
	p := lsPrinter{onTerminal: isTerminal(os.Stdout)}
	return func(b engine.Blamed) error {
		layer, by := b.Layer.Short(), oneLine(b.Step.CreatedBy)
		if whole {
			layer = b.Layer.String()
		} else {
			by = shortenTo(by, createdByWidth)
		}
		_, err := fmt.Fprintf(w, "%s %3d %-*s %c %s\n", layer, b.Step.Number, createdByWidth, by, b.Kind, p.show(b.Path))
		return err
	}
}

// blamedDocument is one line of JSON.
type blamedDocument struct {
	Path      string
	Kind      string // A, C or D
	Layer     string
	Step      int
	CreatedBy string
	Created   *time.Time `json:",omitempty"`
	Comment   string     `json:",omitempty"`
}

func blameJSON(w *bufio.Writer) func(engine.Blamed) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(b engine.Blamed) error {
		return encoder.Encode(blamedDocument{
			b.Path, string(b.Kind), b.Layer.String(), b.Step.Number, b.Step.CreatedBy, b.Step.Created, b.Step.Comment,
		})
	}
}

// oneLine puts spaces for line ends, tabs and other control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, s)
}

// shortenTo cuts s to n characters, the last an ellipsis.
func shortenTo(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
