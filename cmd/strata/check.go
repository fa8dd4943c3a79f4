// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/oci"
)

// checkFlags are those of check.
type checkFlags struct {
	repair, quiet bool
	format        string
}

func newCheckCommand() *cli.Command {
	f := checkFlags{format: "text"}
	c := &cli.Command{
		Use:   "check [--repair] [IMAGE…]",
		Short: "Find out what is damaged in the store",
		Long: `Make the archive of every layer again and compare its digest and its files with
what was stored, and look at everything else in the store: documents, names,
containers, caches, locks and what interrupted commands left. With images, look
at those alone. One line says what is wrong and what can be done; the exit code
is 1 if something is damaged. What was only left behind is no damage.

With --repair, remove or make anew what can be. What a container has written is
never touched.`,
		Min: 0, Max: -1,
		Run: func(images []string) error {
			if f.format != "text" && f.format != "json" {
				return usage(fmt.Errorf("--format %s: it is text or json", f.format))
			}
			return withEngine(func(e *engine.Engine) error { return check(e, images, f) })
		},
		Complete: completeImages,
	}
	c.Flags().BoolVar(&f.repair, "repair", "", "remove or make anew what can be")
	c.Flags().StringVar(&f.format, "format", "", "FORMAT", "output: text or json")
	c.Flags().BoolVar(&f.quiet, "quiet", "q", "no summary")
	return c
}

func check(e *engine.Engine, images []string, f checkFlags) error {
	ctx, stop := interruptible()
	defer stop()
	checked, err := e.Check(ctx, engine.CheckOptions{
		Images: images, Repair: f.repair, Restore: restorer(e), Report: func(found engine.Finding) { printFinding(found, f.format) },
	})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if !f.quiet {
		printChecked(checked, f.format)
	}
	if checked.Damaged > 0 {
		return &cli.ExitError{Code: 1}
	}
	return nil
}

func printFinding(f engine.Finding, format string) {
	if format != "json" {
		fmt.Println(f)
		return
	}
	line := struct {
		Object, Problem, Kind, Action string
		Repaired                      bool
		Error                         string `json:",omitempty"`
	}{Object: f.Object, Problem: f.What, Kind: "damage", Action: f.Todo, Repaired: f.Fixed()}
	switch {
	case f.Detail:
		line.Kind = "detail"
	case f.Leftover:
		line.Kind = "left-over"
	}
	if f.Mend != nil {
		line.Action = "--repair " + f.Cure.Will
	}
	if f.Err != nil {
		line.Error = f.Err.Error()
	}
	printLine(line)
}

func printLine(v any) {
	data, err := json.Marshal(v)
	if err == nil {
		fmt.Println(string(data))
	}
}

func printChecked(c engine.Checked, format string) {
	if format == "json" {
		printLine(c)
		return
	}
	var did []string
	for _, part := range []struct {
		n    int
		text string
	}{{c.Damaged, "damaged"}, {c.Leftovers, "left over"}, {c.Repaired, "repaired"}} {
		if part.n > 0 {
			did = append(did, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	if len(did) == 0 {
		did = []string{"nothing is damaged"}
	}
	fmt.Printf("%d layers, %d images and %d containers checked: %s\n", c.Layers, c.Images, c.Containers, strings.Join(did, ", "))
	if c.Trash > 0 {
		fmt.Printf("%d entries in the trash wait to be deleted (strata gc)\n", c.Trash)
	}
}

// restorer makes a layer anew by way of strata-remote, which can decompress.
func restorer(e *engine.Engine) func(context.Context, oci.Digest, oci.Digest) error {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	path := filepath.Join(filepath.Dir(self), remoteName)
	return func(ctx context.Context, layer, blob oci.Digest) error {
		cmd := exec.CommandContext(ctx, path, "--root="+e.Root(), "restore", string(layer), string(blob))
		out, err := cmd.CombinedOutput()
		if text := strings.TrimPrefix(strings.TrimSpace(string(out)), "strata: "); text != "" && err != nil {
			err = errors.New(text)
		}
		return err
	}
}
