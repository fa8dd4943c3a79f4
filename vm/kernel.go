// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernelPackage is Debian's kernel for virtual machines: in Debian 12 it is
// Linux 6.1, with cgroup v2 alone.
const kernelPackage = "linux-image-cloud-amd64"

// A kernel is an image and the directory its modules are under.
type kernel struct{ image, modules string }

// fetchKernel returns the kernel that is unpacked in cache, after downloading it
// if there is none.
func fetchKernel(ctx context.Context, cache string) (kernel, error) {
	if k, err := findKernel(cache); err == nil {
		return k, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return kernel{}, err
	}
	aside, err := os.MkdirTemp(cache, "unpacking-")
	if err != nil {
		return kernel{}, err
	}
	defer os.RemoveAll(aside)
	if err := download(ctx, aside); err != nil {
		return kernel{}, err
	}
	dir := filepath.Join(cache, "kernel")
	if err := os.RemoveAll(dir); err != nil { // half of one
		return kernel{}, err
	}
	if err := os.Rename(filepath.Join(aside, "kernel"), dir); err != nil {
		return kernel{}, err
	}
	return findKernel(cache)
}

func findKernel(cache string) (kernel, error) {
	images, _ := filepath.Glob(filepath.Join(cache, "kernel/boot/vmlinuz-*")) // the pattern is valid
	modules, _ := filepath.Glob(filepath.Join(cache, "kernel/lib/modules/*/kernel"))
	if len(images) != 1 || len(modules) != 1 {
		return kernel{}, fmt.Errorf("find a kernel in %s: %d images, %d directories of modules", cache, len(images), len(modules))
	}
	return kernel{images[0], modules[0]}, nil
}

// download unpacks the package that kernelPackage depends on into kernel, below
// dir. Nothing is installed.
func download(ctx context.Context, dir string) error {
	name, err := dependency(ctx)
	if err != nil {
		return err
	}
	apt := exec.CommandContext(ctx, "apt-get", "-o", "APT::Sandbox::User=", "-qq", "download", name)
	apt.Dir = dir
	if out, err := apt.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s: %w: %s", name, err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return errors.Join(err, fmt.Errorf("apt-get download %s: %d packages", name, len(packages)))
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], filepath.Join(dir, "kernel")).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb -x %s: %w: %s", packages[0], err, out)
	}
	return nil
}

// dependency is the name of the package with the kernel of today. A machine that
// has no package lists gets them.
func dependency(ctx context.Context) (string, error) {
	if name := latest(ctx); name != "" {
		return name, nil
	}
	if out, err := exec.CommandContext(ctx, "apt-get", "-qq", "update").CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get update: %w: %s", err, out)
	}
	if name := latest(ctx); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("apt-cache depends %s: no such package; it is Debian's, for amd64", kernelPackage)
}

func latest(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", kernelPackage).Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(name, "linux-image-") {
			return name
		}
	}
	return ""
}
