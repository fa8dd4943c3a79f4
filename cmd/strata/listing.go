// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	units "github.com/docker/go-units"

	"strata/internal/cli"
)

// listing is how a command shows rows: a table, one JSON object on each line,
// or IDs alone.
type listing struct {
	format  string
	quiet   bool
	noTrunc bool
}

func (l *listing) bind(c *cli.Command) {
	l.format = "table"
	c.Flags().StringVar(&l.format, "format", "", "FORMAT", "output: table or json")
	c.Flags().BoolVar(&l.quiet, "quiet", "q", "only IDs")
	c.Flags().BoolVar(&l.noTrunc, "no-trunc", "", "do not shorten")
}

// column is one of a table's: its heading, and its key in JSON.
type column struct{ heading, key string }

// print writes rows of one value for each column. The column named "ID" is
// what --quiet leaves.
func (l *listing) print(columns []column, rows [][]any) error {
	switch {
	case l.quiet:
		return printColumn(columns, rows, "ID")
	case l.format == "json":
		return printJSON(columns, rows)
	case l.format != "table":
		return usage(fmt.Errorf("--format %s: it is table or json", l.format))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 3, ' ', 0)
	var headings []string
	for _, c := range columns {
		if c.heading != "" {
			headings = append(headings, c.heading)
		}
	}
	fmt.Fprintln(w, strings.Join(headings, "\t"))
	for _, row := range rows {
		var cells []string
		for i, c := range columns {
			if c.heading != "" {
				cells = append(cells, fmt.Sprint(row[i]))
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

func printColumn(columns []column, rows [][]any, key string) error {
	for _, row := range rows {
		for i, c := range columns {
			if c.key == key {
				if _, err := fmt.Println(row[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// printJSON keeps the columns' order, which encoding/json would not for a map.
func printJSON(columns []column, rows [][]any) error {
	for _, row := range rows {
		var fields []string
		for i, c := range columns {
			if c.key == "" {
				continue
			}
			value, err := json.Marshal(row[i])
			if err != nil {
				return err
			}
			fields = append(fields, fmt.Sprintf("%q:%s", c.key, value))
		}
		if _, err := fmt.Printf("{%s}\n", strings.Join(fields, ",")); err != nil {
			return err
		}
	}
	return nil
}

// printDocument writes v as indented JSON.
func printDocument(v any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "    ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// size is a number of bytes as Docker shows it, in powers of 1000.
func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// ago is how long ago t was, as Docker shows it.
func ago(t time.Time) string { return units.HumanDuration(time.Since(t)) + " ago" }

// shorten cuts s to at most n bytes, with an ellipsis for the rest.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-1], "") + "…"
}

// newline ends what is a result of its own, such as an ID.
func newline(w io.Writer, s string) error {
	_, err := fmt.Fprintln(w, s)
	return err
}
