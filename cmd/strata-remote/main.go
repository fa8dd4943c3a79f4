// SPDX-License-Identifier: Apache-2.0

// Command strata-remote does the verbs of strata that exchange images with the
// world. It is a program of its own because what it needs (compressions now,
// the network later) would cost time at every start of a container. The verb
// strata runs it; it is not typed by people.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/rootless"
)

func main() {
	p := &cli.Program{
		Name: "strata", Short: "Exchange images with the world", Out: os.Stdout,
		Verbs: []cli.Verb{
			{Name: "import", New: newImportCommand}, {Name: "restore", New: newRestoreCommand}, {Name: "load", New: newLoadCommand}, {Name: "save", New: newSaveCommand},
			{Name: "pull", New: newPullCommand}, {Name: "push", New: newPushCommand}, {Name: "login", New: newLoginCommand}, {Name: "logout", New: newLogoutCommand},
		},
	}
	p.Global.StringVar(&rootFlag, "root", "", "DIR", "directory of the store (default $STRATA_ROOT, or "+engine.DefaultRoot()+")")
	os.Exit(p.Report(os.Stderr, p.Run(os.Args[1:])))
}

// rootFlag is the store named on the command line, "" for the default.
var rootFlag string

// withEngine opens the store for one call, which a signal interrupts.
func withEngine(f func(context.Context, *engine.Engine) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	root := rootFlag
	if root == "" {
		root = engine.DefaultRoot()
	}
	if rootless.Needed() {
		return rootless.Enter(root, true) // comes back here as root of a user namespace
	}
	e, err := engine.Open(root)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, e), e.Close())
}
