// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newManifestCommand() *cli.Command {
	return &cli.Command{
		Use:   "manifest COMMAND",
		Short: "Look at manifests",
		Verbs: []cli.Verb{{Name: "inspect", New: newManifestInspectCommand}},
	}
}

func newManifestInspectCommand() *cli.Command {
	var raw, config bool
	c := &cli.Command{
		Use:   "manifest inspect [OPTIONS] IMAGE",
		Short: "Print the manifest of an image",
		Long:  "Print the manifest of an image that is here, indented, or the very bytes that its digest is of.",
		Min:   1, Max: 1,
		Run: func(args []string) error {
			return withEngine(func(e *engine.Engine) error {
				document, err := e.Document(args[0], config)
				if err != nil {
					return fmt.Errorf("manifest inspect: %w", err)
				}
				return printReceived(document, raw)
			})
		},
		Complete: completeFirst(completeImages),
	}
	c.Flags().BoolVar(&raw, "raw", "", "the bytes as they were received")
	c.Flags().BoolVar(&config, "config", "", "the image's config in place of its manifest")
	return c
}

// printReceived prints a document with all that it has, in its own order.
func printReceived(document []byte, raw bool) error {
	if !raw {
		var b bytes.Buffer
		if err := json.Indent(&b, document, "", "   "); err != nil {
			return err
		}
		b.WriteByte('\n')
		document = b.Bytes()
	}
	_, err := os.Stdout.Write(document)
	return err
}
