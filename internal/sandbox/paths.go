// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// pathSteps mask and protect parts of the kernel's filesystems. check has held
// the paths to /proc and /sys, which are attached without a link and belong to
// nobody but the kernel, so they are named relative to the root. Paths that
// this kernel does not have are left out.
func pathSteps(s *specs.Spec) []step {
	return []step{{
		lines: func() (lines []Line) {
			for _, one := range findPaths(s) { // each is looked for on the host
				lines = append(lines, one.lines()...)
			}
			return lines
		},
		prepare: func(p *preparation) error { return p.prepare(findPaths(s)) },
	}}
}

func findPaths(s *specs.Spec) []step {
	var steps []step
	for _, path := range s.Linux.ReadonlyPaths {
		if mode(s, path) != 0 {
			steps = append(steps, readonlyStep("."+path))
		}
	}
	emptyDir := ""
	for _, path := range s.Linux.MaskedPaths {
		switch m := mode(s, path); {
		case m == 0:
		case m&unix.S_IFMT != unix.S_IFDIR:
			steps = append(steps, bindOver("./dev/null", "."+path, "nothing to read there"))
		case emptyDir == "":
			emptyDir = "." + path
			steps = append(steps, emptyStep(emptyDir))
		default:
			steps = append(steps, bindOver(emptyDir, "."+path, "the same empty directory"))
		}
	}
	return steps
}

// mode is the file mode of what will be at path, zero when nothing will: its
// filesystem is not mounted, or this kernel does not have it.
func mode(s *specs.Spec, path string) uint32 {
	for _, m := range s.Mounts {
		if beneath(path, m.Destination) {
			st, _ := linux.Lstat(unix.AT_FDCWD, path)
			return st.Mode
		}
	}
	return 0
}

func readonlyStep(path string) step {
	return step{
		lines: line("mount --bind "+path+" "+path+"; mount -o remount,bind,ro "+path, "settings of the kernel that all share"),
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
		lines: line("mount --bind "+source+" "+path, why),
		prepare: func(p *preparation) error {
			p.call("mask "+path, unix.SYS_MOUNT, p.list.String(source), p.list.String(path), 0, unix.MS_BIND)
			return nil
		},
	}
}

func emptyStep(path string) step {
	return step{
		lines: line("mount -t tmpfs -o ro,nr_inodes=1 tmpfs "+path, "an empty directory in its place"),
		prepare: func(p *preparation) error {
			kind := p.list.String("tmpfs")
			p.call("mask "+path, unix.SYS_MOUNT, kind, p.list.String(path), kind, unix.MS_RDONLY, p.list.String("nr_inodes=1"))
			return nil
		},
	}
}
