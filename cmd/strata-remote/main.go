// SPDX-License-Identifier: Apache-2.0

// Command strata-remote does the verbs of strata that exchange images with the
// world. It is a program of its own because what it needs (compressions now,
// the network later) would cost time at every start of a container. The verb
// strata runs it; it is not typed by people.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"strata/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	os.Exit(report(err))
}

func newCommand() *cobra.Command {
	root := &cobra.Command{Use: "strata", SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().String("root", "", "directory of the store (default $STRATA_ROOT or "+engine.DefaultRoot()+")")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%s: %w; see strata %s --help", c.Name(), err, c.Name())}
	})
	root.AddCommand(newImportCommand())
	return root
}

// A usageError is a command line that cannot be read.
type usageError struct{ error }

// report prints err as one line and returns the exit code, Docker's 125 for a
// usageError.
func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "strata: "+strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	var wrong *usageError
	if errors.As(err, &wrong) {
		return engine.ExitError
	}
	return 1
}

// withEngine opens the store that the flags name for one call.
func withEngine(c *cobra.Command, f func(*engine.Engine) error) error {
	root, err := c.Flags().GetString("root")
	if err != nil {
		return err
	}
	if root == "" {
		root = engine.DefaultRoot()
	}
	e, err := engine.Open(root)
	if err != nil {
		return err
	}
	return errors.Join(f(e), e.Close())
}
