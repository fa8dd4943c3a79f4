// SPDX-License-Identifier: Apache-2.0

// What Go does with the cgroup's share of processors, at the start and with a
// timer later, takes time that a start does not have.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command strata runs, inspects and commits containers on overlay filesystems,
// without a daemon. There is one file for each verb.
//
// What needs large packages (other compressions, the network) is in
// strata-remote, beside this program and run by it on demand: what is linked in
// costs time at every start.
package main

import (
	"errors"
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/rootless"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() {
	refuseAstray()
	growStack()
	p := newProgram()
	os.Exit(p.Report(os.Stderr, p.Run(os.Args[1:])))
}

// growStack makes the stack at once as large as it would become in four steps,
// at each of which it is walked and copied.
//
//go:noinline
func growStack() byte {
	var room [20 << 10]byte
	return room[len(os.Args)]
}

func newProgram() *cli.Program {
	p := &cli.Program{
		Name: "strata", Short: "Isolated root filesystems that share read-only layers", Out: os.Stdout,
		Verbs: []cli.Verb{
			{Name: "run", New: newRunCommand}, {Name: "create", New: newCreateCommand}, {Name: "start", New: newStartCommand},
			{Name: "exec", New: newExecCommand}, {Name: "top", New: newTopCommand},
			{Name: "update", New: newUpdateCommand}, {Name: "pause", New: newPauseCommand}, {Name: "unpause", New: newUnpauseCommand},
			{Name: "ps", New: newPsCommand}, {Name: "rm", New: newRmCommand},
			{Name: "import", New: newImportCommand}, {Name: "load", New: newLoadCommand}, {Name: "save", New: newSaveCommand}, {Name: "images", New: newImagesCommand}, {Name: "rmi", New: newRmiCommand},
			{Name: "tag", New: newTagCommand}, {Name: "inspect", New: newInspectCommand}, {Name: "history", New: newHistoryCommand},
			{Name: "pull", New: newPullCommand}, {Name: "push", New: newPushCommand}, {Name: "login", New: newLoginCommand}, {Name: "logout", New: newLogoutCommand},
			{Name: "ls", New: newLsCommand}, {Name: "cat", New: newCatCommand}, {Name: "cp", New: newCpCommand}, {Name: "blame", New: newBlameCommand}, {Name: "squash", New: newSquashCommand},
			{Name: "image", New: newImageCommand}, {Name: "manifest", New: newManifestCommand},
			{Name: "diff", New: newDiffCommand}, {Name: "commit", New: newCommitCommand}, {Name: "export", New: newExportCommand},
			{Name: "df", New: newDfCommand}, {Name: "mount", New: newMountCommand}, {Name: "umount", New: newUmountCommand}, {Name: "unshare", New: newUnshareCommand},
			{Name: "gc", New: newGcCommand}, {Name: "check", New: newCheckCommand}, {Name: "info", New: newInfoCommand}, {Name: "version", New: newVersionCommand},
		},
	}
	p.Global.StringVar(&rootFlag, "root", "", "DIR", "directory of the store (default $STRATA_ROOT, or "+engine.DefaultRoot()+")")
	return p
}

func usage(err error) error { return &cli.UsageError{Err: err} }

// rootFlag is the store named on the command line, "" for the default.
var rootFlag string

// withEngine opens the store for one call.
func withEngine(f func(*engine.Engine) error) error {
	e, err := openEngine()
	if err != nil {
		return err
	}
	return errors.Join(f(e), e.Close())
}

func openEngine() (*engine.Engine, error) {
	root := storeRoot()
	if rootless.Needed() {
		return nil, rootless.Enter(root, false) // comes back here as root of a user namespace
	}
	return engine.Open(root)
}

func storeRoot() string {
	if rootFlag != "" {
		return rootFlag
	}
	return engine.DefaultRoot()
}

// forEach does something for each name and goes on after an error: one line
// for each.
func forEach(names []string, f func(*engine.Engine, string) error) error {
	return withEngine(func(e *engine.Engine) error {
		failed := false
		for _, name := range names {
			if err := f(e, name); err != nil {
				fmt.Fprintln(os.Stderr, "strata: "+cli.OneLine(err))
				failed = true
			}
		}
		if failed {
			return &cli.ExitError{Code: 1}
		}
		return nil
	})
}
