// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/mount"
	"strata/internal/spawn"
)

// begin adds what the child does before it has a root filesystem.
func begin(first *spawn.List, s *specs.Spec) {
	first.Add(
		newCall("die with the parent", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)),
		newCall("make mounts private", unix.SYS_MOUNT, 0, first.String("/"), 0, unix.MS_REC|unix.MS_PRIVATE),
	)
	leaveHost(first)
	if name := s.Hostname; name != "" {
		first.Add(newCall("set hostname", unix.SYS_SETHOSTNAME, first.String(name), uintptr(len(name))))
	}
	if hasNamespace(s, specs.NetworkNamespace) {
		loopbackUp(first)
	}
}

// leaveHost takes the child out of the host's root filesystem, for a place over
// which its own will be mounted. Where every mount of the host has been detached
// from the child's namespace, setns(2) into that same namespace leads to what
// lies beneath them all: the kernel's first root filesystem, empty. That is what
// pivot_root(2) leaves beneath too, but it looks for its caller's old root at
// every thread of the machine.
//
// Mounts that came from another user's namespace are locked together and cannot
// be detached by themselves (mount_namespaces(7)). There pivot_root it is, onto
// an empty filesystem.
func leaveHost(first *spawn.List) {
	root, proc, kind, dot := first.String("/"), first.String("/proc"), first.String("tmpfs"), first.String(".")
	open := newCall("open the mount namespace", unix.SYS_OPENAT, cwd, first.String("/proc/self/ns/mnt"), unix.O_CLOEXEC)
	open.Save = true
	detach := newCall("detach the host's mounts", unix.SYS_UMOUNT2, root, unix.MNT_DETACH)
	detach.Tolerate, detach.SkipOnError = unix.EINVAL, 2
	enter := newCall("enter the mount namespace", unix.SYS_SETNS, 0, unix.CLONE_NEWNS)
	enter.Saved = true
	done := newCall("go on: this is always positive", unix.SYS_GETTID)
	pivot := []spawn.Call{
		newCall("mount an empty root", unix.SYS_MOUNT, kind, proc, kind, unix.MS_RDONLY, first.String("nr_inodes=1")),
		newCall("chdir to the empty root", unix.SYS_CHDIR, proc),
		newCall("pivot_root", unix.SYS_PIVOT_ROOT, dot, dot), // pivot_root(2), "pivot_root(".", ".")"
		newCall("detach the old root", unix.SYS_UMOUNT2, dot, unix.MNT_DETACH),
	}
	done.SkipOnPositive = len(pivot)
	first.Add(open, detach, enter, done)
	first.Add(pivot...)
	first.Add(closeSaved("close the mount namespace"))
}

func closeSaved(name string) spawn.Call {
	c := newCall(name, unix.SYS_CLOSE)
	c.Saved = true
	return c
}

// rootSteps show the beginning and attach the root filesystem.
func rootSteps(p *Plan) []step {
	begin := step{lines: func() []Line {
		return append([]Line{{
			"unshare --fork --kill-child --propagation private" + unshareOptions(p.spec) + " sh -e /dev/fd/3 3<<'SANDBOX'",
			"new namespaces; what is mounted in them, the host never sees",
		}}, shellHost(p.spec)...)
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
	if hasNamespace(s, specs.NetworkNamespace) {
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
	p.call("chdir to "+dir, unix.SYS_CHDIR, p.list.String(dir))
	return nil
}

// ifreqFlags is struct ifreq with its flags (netdevice(7)).
type ifreqFlags struct {
	name  [unix.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

// loopbackUp opens its socket in the child: it belongs to the namespace in
// which it was made.
func loopbackUp(l *spawn.List) {
	request := &ifreqFlags{flags: unix.IFF_UP}
	copy(request.name[:], "lo")
	open := newCall("open a socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC)
	open.Save = true
	up := newCall("bring lo up", unix.SYS_IOCTL, 0, unix.SIOCSIFFLAGS, spawn.Pin(l, request))
	up.Saved = true
	l.Add(open, up, closeSaved("close the socket"))
}
