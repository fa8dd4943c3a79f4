// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// built says where what was compiled for the virtual machine is.
type built struct {
	tests    string // test programs, PACKAGE.test
	programs string // strata, strata-remote, test2json
}

// build compiles into dir. Every program is static: the virtual machine has only
// the libraries of the programs it was given.
func build(ctx context.Context, dir string, suites []suite) (built, error) {
	b := built{filepath.Join(dir, "test"), filepath.Join(dir, "bin")}
	for _, dir := range []string{b.tests, b.programs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return built{}, err
		}
	}
	tests := []string{"test", "-c", "-ldflags=-s -w", "-o", b.tests + "/"}
	for _, s := range suites {
		tests = append(tests, "./"+s.dir)
	}
	if err := golang(ctx, tests...); err != nil {
		return built{}, err
	}
	return b, golang(ctx, "build", "-ldflags=-s -w", "-o", b.programs+"/", "cmd/test2json", "./cmd/strata", "./cmd/strata-remote", "./cmd/strata/testdata/probe")
}

func golang(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}
