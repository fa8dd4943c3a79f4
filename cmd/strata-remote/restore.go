// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/oci"
)

// newRestoreCommand is what `strata check --repair` runs for each layer that is
// damaged and whose blob is whole.
func newRestoreCommand() *cli.Command {
	return &cli.Command{
		Use:   "restore LAYER BLOB",
		Short: "Make a damaged layer anew from the blob that came with it",
		Min:   2, Max: 2,
		Run: func(args []string) error {
			return withEngine(func(ctx context.Context, e *engine.Engine) error {
				var digests [2]oci.Digest
				for i, arg := range args {
					d, err := oci.ParseDigest(arg)
					if err != nil {
						return err
					}
					digests[i] = d
				}
				return e.RestoreLayer(ctx, digests[0], digests[1], compression.Decompress)
			})
		},
	}
}
