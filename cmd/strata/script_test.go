// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

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
		Deadline:            time.Now().Add(8 * patience), // not a measure: it ends what hangs
	})
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
	} {
		env.Setenv(name, value)
	}
	p := &programs{}
	env.Values[programsKey{}] = p
	env.Defer(p.kill)
	return nil
}
