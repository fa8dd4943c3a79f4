// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"strata/internal/leak"
)

// TestScripts runs the scripts of testdata/script, one for each promise, each
// with a store of its own in $WORK/store.
func TestScripts(t *testing.T) {
	needsContainers(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setupScript,
		Cmds:                scriptCommands(),
		Condition:           scriptCondition,
		Deadline:            time.Now().Add(8 * patience), // not a measure: it ends what hangs
	})
}

// scriptCondition decides what a script asks in brackets: mapped-layers, whether
// layers can have other ids than on disk.
func scriptCondition(name string) (bool, error) {
	if name != "mapped-layers" {
		return false, errors.New("there is no such condition")
	}
	return mapsLayers()
}

// mapsLayers tries whether overlay takes a layer by its descriptor, the one way to
// name a mount that nobody else sees, as those with mapped ids are.
func mapsLayers() (bool, error) {
	ctx, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false, os.NewSyscallError("fsopen overlay", err)
	}
	defer unix.Close(ctx)
	dir, err := os.Open("testdata")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	return unix.FsconfigSetFd(ctx, "lowerdir+", int(dir.Fd())) == nil, nil
}

// setupScript gives a script its environment, and looks at its end for what it
// left behind.
func setupScript(env *testscript.Env) error {
	work, rootfs := env.WorkDir, os.Getenv(rootfsEnv)
	leak.Check(env.T().(testing.TB), work)
	for name, value := range map[string]string{
		"STRATA_ROOT": filepath.Join(work, "store"),
		"HOME":        filepath.Join(work, "home"),
		"ROOTFS":      rootfs,
		"TAR":         rootfs + ".tar",
		"TZ":          "UTC",
		"LC_ALL":      "C",
		// what the one who runs the tests has set is not to reach them
		"XDG_DATA_HOME": "",

		"CONTAINERS_REGISTRIES_CONF": filepath.Join(filepath.Dir(rootfs), registriesFile),
	} {
		env.Setenv(name, value)
	}
	p := &programs{}
	env.Values[programsKey{}] = p
	env.Defer(p.kill)
	return nil
}
