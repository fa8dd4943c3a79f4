// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newImagePruneCommand() *cli.Command {
	var o engine.PruneOptions
	var force bool
	var filters []string
	c := &cli.Command{
		Use:   "image prune [OPTIONS]",
		Short: "Remove images without a name, or all that no container was made from",
		Long: "Remove images without a name, or all that no container was made from.\n" +
			"On a terminal it asks first. Filters: until=TIME or DURATION (made before that), label=KEY[=VALUE], label!=KEY[=VALUE].",
		Run: func([]string) error {
			f, err := parseImageFilters(filters, time.Now())
			if err != nil {
				return usage(fmt.Errorf("image prune: %w", err))
			}
			o.Filter = f.match
			o.All = o.All || f.all
			if !force && isTerminal(os.Stdin) && isTerminal(os.Stdout) && !confirmPrune(os.Stdin, os.Stdout, o.All) {
				return nil
			}
			return withEngine(func(e *engine.Engine) error { return pruneImages(e, o) })
		},
	}
	c.Flags().BoolVar(&o.All, "all", "a", "images with names too")
	c.Flags().BoolVar(&force, "force", "f", "do not ask")
	c.Flags().StringsVar(&filters, "filter", "", "KEY=VALUE", "only these: until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]; may be given more than once")
	return c
}

// confirmPrune asks as Docker does.
func confirmPrune(in io.Reader, out io.Writer, all bool) bool {
	what := "all dangling images"
	if all {
		what = "all images without at least one container associated to them"
	}
	fmt.Fprintf(out, "WARNING! This will remove %s.\nAre you sure you want to continue? [y/N] ", what)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

func pruneImages(e *engine.Engine, o engine.PruneOptions) error {
	pruned, err := e.PruneImages(o)
	if len(pruned.Untagged)+len(pruned.Deleted) > 0 {
		fmt.Println("Deleted Images:")
		for _, name := range pruned.Untagged {
			fmt.Println("untagged: " + name)
		}
		for _, digest := range pruned.Deleted {
			fmt.Println("deleted: " + digest.String())
		}
		fmt.Println()
		reapLater(e)
	}
	if err != nil {
		return fmt.Errorf("image prune: %w", err)
	}
	_, err = fmt.Println("Total reclaimed space: " + size(pruned.Bytes))
	return err
}
