// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/oci"
)

// Values of --pull.
const (
	pullMissing = "missing"
	pullAlways  = "always"
	pullNever   = "never"
)

// A pullPolicy says when an image is got from its registry.
type pullPolicy struct {
	when  string
	quiet bool
}

func (p *pullPolicy) bind(fs *cli.FlagSet) {
	p.when = pullMissing
	fs.StringVar(&p.when, "pull", "", pullMissing+"|"+pullAlways+"|"+pullNever, "get the image from its registry if it is not here, in any case, or not at all")
	fs.BoolVar(&p.quiet, "quiet", "q", "show nothing of that")
}

func (p *pullPolicy) check() error {
	if p.when != pullMissing && p.when != pullAlways && p.when != pullNever {
		return fmt.Errorf("--pull %s: use %s, %s or %s", p.when, pullMissing, pullAlways, pullNever)
	}
	return nil
}

// provide calls create, and sees to it that the image of o is there as far as
// the policy says. A short name may stand for one with a registry, which o has
// then.
func (p *pullPolicy) provide(e *engine.Engine, o *engine.CreateOptions, create func() error) error {
	if p.when == pullAlways && o.Rootfs == "" {
		if err := p.pull(e, o); err != nil {
			return err
		}
	}
	err := create()
	if p.when != pullMissing || o.Rootfs != "" || !engine.IsUnknownImage(err) {
		return err
	}
	if _, malformed := oci.ParseReference(o.Image); malformed != nil { // an ID
		return err
	}
	if cause := p.pull(e, o, "--missing"); cause != nil {
		return fmt.Errorf("%w; %w", err, cause)
	}
	return create()
}

// pull has strata-remote get the image, which shows what it does on standard
// error and prints the reference of what it has got, or why it has got nothing.
func (p *pullPolicy) pull(e *engine.Engine, o *engine.CreateOptions, flags ...string) error {
	path, err := remotePath()
	if err != nil {
		return err
	}
	args := append([]string{"--root", e.Root(), "pull", "--for-run"}, flags...)
	if p.quiet {
		args = append(args, "--quiet")
	}
	var out bytes.Buffer
	cmd := exec.Command(path, append(args, "--", o.Image)...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	runtime.LockOSThread() // whose end the signal comes with
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	said := strings.TrimSpace(out.String())
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && said != "":
		return errors.New(said)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s is missing, which gets images from registries (make builds both)", path)
	case err != nil:
		return fmt.Errorf("pull: %w", err)
	}
	o.Image = said
	return nil
}
