// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// pathSteps mask and protect parts of the kernel's filesystems. check has held
// the paths to /proc and /sys, which are attached without a link and belong to
// nobody but the kernel, so they are named relative to the root. Paths that
// this kernel does not have are left out.
func pathSteps(s *specs.Spec) []step {
	var steps []step
	for _, path := range s.Linux.ReadonlyPaths {
		if exists(s, path) {
			steps = append(steps, readonlyStep("."+path))
		}
	}
	emptyDir := ""
	for _, path := range s.Linux.MaskedPaths {
		info, err := os.Stat(path)
		if err != nil || !exists(s, path) {
			continue
		}
		if !info.IsDir() {
			steps = append(steps, bindOver("./dev/null", "."+path, "nothing to read there"))
			continue
		}
		if emptyDir == "" {
			emptyDir = "." + path
			steps = append(steps, emptyStep(emptyDir))
			continue
		}
		steps = append(steps, bindOver(emptyDir, "."+path, "the same empty directory"))
	}
	return steps
}

// exists reports whether path will be there: its filesystem is mounted, and
// this kernel has it.
func exists(s *specs.Spec, path string) bool {
	_, err := os.Lstat(path)
	for _, m := range s.Mounts {
		if beneath(path, m.Destination) {
			return err == nil
		}
	}
	return false
}

func readonlyStep(path string) step {
	return step{
		lines: []Line{{
			"mount --bind " + path + " " + path + "; mount -o remount,bind,ro " + path,
			"settings of the kernel that all share",
		}},
		prepare: func(p *preparation) error {
			at := p.list.String(path)
			p.call("bind "+path, unix.SYS_MOUNT, at, at, 0, unix.MS_BIND|unix.MS_REC)
			p.call("make "+path+" read-only", unix.SYS_MOUNT, 0, at, 0, remountReadonly)
			return nil
		},
	}
}

// A remount sets every flag of the mount: those of procfs are repeated.
const remountReadonly = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

func bindOver(source, path, why string) step {
	return step{
		lines: []Line{{"mount --bind " + source + " " + path, why}},
		prepare: func(p *preparation) error {
			p.call("mask "+path, unix.SYS_MOUNT, p.list.String(source), p.list.String(path), 0, unix.MS_BIND)
			return nil
		},
	}
}

func emptyStep(path string) step {
	return step{
		lines: []Line{{"mount -t tmpfs -o ro,nr_inodes=1 tmpfs " + path, "an empty directory in its place"}},
		prepare: func(p *preparation) error {
			kind := p.list.String("tmpfs")
			p.call("mask "+path, unix.SYS_MOUNT, kind, p.list.String(path), kind, unix.MS_RDONLY, p.list.String("nr_inodes=1"))
			return nil
		},
	}
}
