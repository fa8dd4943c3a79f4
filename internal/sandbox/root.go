// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/mount"
)

// rootSteps show the beginning and attach the root filesystem.
func rootSteps(p *Plan) []step {
	begin := step{lines: func() []Line {
		create, enter, _ := shellCgroup(p.spec)
		return slices.Concat(create, []Line{{
			nsenter(p.spec) + "unshare --fork --kill-child --propagation private" + unshareOptions(p.spec) + setarch(p.spec) + " sh -e /dev/fd/3 3<<'SANDBOX'",
			"new namespaces; what is mounted in them, the host never sees",
		}}, enter, shellHost(p.spec))
	}}
	attach := step{
		lines: func() []Line { return append(p.options.RootShell, Line{`cd "$root"`, "the root to be"}) },
		prepare: func(prep *preparation) error {
			l := &prep.list
			prep.call("attach the root filesystem", unix.SYS_MOVE_MOUNT,
				prep.root.Fd(), l.String(""), cwd, l.String("/"), unix.MOVE_MOUNT_F_EMPTY_PATH)
			prep.chdirTo(prep.root)
			return nil
		},
	}
	return []step{begin, attach}
}

// shellHost gives the sandbox its hostname and loopback interface.
func shellHost(s *specs.Spec) []Line {
	var lines []Line
	if s.Hostname != "" {
		lines = append(lines, Line{"hostname " + Quote(s.Hostname), "in the uts namespace only"})
	}
	if name := s.Domainname; name != "" {
		lines = append(lines, Line{"echo " + Quote(name) + " > /proc/sys/kernel/domainname", "the NIS name, of the same namespace"})
	}
	if ownsNamespace(s, specs.NetworkNamespace) {
		lines = append(lines, Line{"ip link set lo up", "the only interface of the new network namespace"})
	}
	return lines
}

const cwd = ^uintptr(99) // AT_FDCWD

// enterSteps make the mounts' root the process's own. A person cuts off the host
// here: earlier there would be no commands left to type.
func enterSteps(p *Plan) []step {
	var steps []step
	if p.spec.Root != nil && p.spec.Root.Readonly {
		steps = append(steps, step{
			lines: line(`mount -o remount,bind,ro .`, "nothing in the root can be written"),
			prepare: func(prep *preparation) error {
				return mount.SetAttr(prep.root, unix.MOUNT_ATTR_RDONLY, 0, false)
			},
		})
	}
	return append(steps, step{
		lines: func() []Line {
			return []Line{
				{"pivot_root . .", "the two roots change places; the old one lies over the new"},
				{"umount -l .", "and is taken away: no path leads out any more"},
				{"cd " + Quote(p.spec.Process.Cwd), "where the program starts"},
			}
		},
		prepare: func(prep *preparation) error { return prep.enter(p.spec.Process.Cwd) },
	})
}

func (p *preparation) enter(dir string) error {
	if dir == "" {
		dir = "/"
	}
	if base, _, err := p.covering(dir); err == nil && dir != "/" && !base.sealed {
		if _, err := p.target(dir, true); err != nil {
			return err
		}
	}
	p.call("enter the root filesystem", unix.SYS_CHROOT, p.list.String("."))
	p.workDir(dir)
	return nil
}
