// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cgroup"
	"strata/internal/spawn"
)

// A Child is the process of a sandbox that has no root filesystem yet.
// Plan.Start or Abandon must follow.
type Child struct {
	*spawn.Child
	spec *specs.Spec
	own  []ownMount
	// userns is its user namespace, or nil.
	userns *os.File
	group  *cgroup.Group // or nil
	tasks  []*os.File    // by which it enters that
	show   func() error  // undoes hide, if it is to be undone
}

// An ownMount is a filesystem that shows the namespaces of the process that
// mounts it, so the child does, detached and before it leaves the host's mounts:
// the kernel lets a user namespace have a procfs only where it sees another
// (mount_too_revealing in fs/namespace.c).
type ownMount struct {
	path string
	// at is a descriptor that the child, which shares ours, replaces by the mount.
	at *os.File
}

// Begin starts the process of a sandbox, of whose specification only namespaces,
// id mappings, hostname and the kernel's filesystems need be known yet: on two
// processors the kernel makes the namespaces while the caller makes the rest.
func Begin(spec *specs.Spec) (*Child, error) {
	c := &Child{spec: spec}
	if err := c.reserve(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.makeCgroup(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	var first spawn.List
	flags := c.cloneFlags()
	if hasNamespace(spec, specs.UserNamespace) {
		// The user namespace is there at once, so that its maps can be written and
		// the root filesystem be mounted with them while the others are made.
		const early = unix.CLONE_NEWUSER | unix.CLONE_NEWPID
		first.Add(newCall("make namespaces", unix.SYS_UNSHARE, flags&^early))
		flags &= early
	} else {
		c.prepareHost(&first)
	}
	if err := c.begin(&first, flags); err != nil {
		return nil, errors.Join(err, c.removeCgroup(), c.close())
	}
	return c, nil
}

// reserve takes the descriptors for the child's own mounts.
func (c *Child) reserve() error {
	for _, m := range c.spec.Mounts {
		if !isOwn(m) {
			continue
		}
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // of all descriptors the quickest to have
		if err != nil {
			return os.NewSyscallError("reserve a descriptor: eventfd", err)
		}
		c.own = append(c.own, ownMount{m.Destination, os.NewFile(uintptr(fd), m.Destination)})
	}
	return nil
}

// isOwn reports whether the child mounts m itself.
func isOwn(m specs.Mount) bool {
	return !parseOptions(m.Options).bind && (m.Type == "proc" || m.Type == "sysfs" || m.Type == "mqueue")
}

// prepareHost adds what the child does in its namespaces before it has a root
// filesystem.
func (c *Child) prepareHost(l *spawn.List) {
	joinNamespaces(l, c.spec)
	l.Add(newCall(privateMounts, unix.SYS_MOUNT, 0, l.String("/"), 0, unix.MS_REC|unix.MS_PRIVATE))
	for _, m := range c.spec.Mounts {
		for _, own := range c.own {
			if own.path == m.Destination {
				own.mount(l, m)
			}
		}
	}
	leaveHost(l)
	if name := c.spec.Hostname; name != "" {
		l.Add(newCall("set hostname", unix.SYS_SETHOSTNAME, l.String(name), uintptr(len(name))))
	}
	if name := c.spec.Domainname; name != "" {
		l.Add(newCall("set domainname", unix.SYS_SETDOMAINNAME, l.String(name), uintptr(len(name))))
	}
	if ownsNamespace(c.spec, specs.NetworkNamespace) {
		loopbackUp(l)
	}
}

// mount adds the calls that make m and put its descriptor in the place of o's.
func (o ownMount) mount(l *spawn.List, m specs.Mount) {
	const setFlag, setString, create = 0, 1, 6 // enum fsconfig_command, linux/mount.h
	name, at := "mount "+m.Type+" on "+m.Destination, o.at.Fd()
	saved := func(c spawn.Call) spawn.Call { c.Save = true; return c }
	put := func() {
		move := newCall(name, unix.SYS_DUP3, 0, at, unix.O_CLOEXEC)
		move.Saved = true
		l.Add(move, closeSaved(name))
	}
	options := parseOptions(m.Options)
	l.Add(saved(newCall(name, unix.SYS_FSOPEN, l.String(m.Type), unix.FSOPEN_CLOEXEC)))
	put()
	for _, opt := range options.fsOptions(m.Source) {
		command, value := uintptr(setFlag), uintptr(0)
		if opt.Value != "" {
			command, value = setString, l.String(opt.Value)
		}
		l.Add(newCall(name, unix.SYS_FSCONFIG, at, command, l.String(opt.Key), value, 0))
	}
	l.Add(newCall(name, unix.SYS_FSCONFIG, at, create, 0, 0, 0))
	l.Add(saved(newCall(name, unix.SYS_FSMOUNT, at, unix.FSMOUNT_CLOEXEC, uintptr(options.attr))))
	put()
}

// ownMount is the mount that the child makes for path, or nil.
func (c *Child) ownMount(path string) *os.File {
	for _, own := range c.own {
		if own.path == path {
			return own.at
		}
	}
	return nil
}

// Abandon ends the child instead.
func (c *Child) Abandon() error {
	return errors.Join(c.Child.Abandon(), c.removeCgroup(), c.close())
}

// close closes what was reserved for the child.
func (c *Child) close() (err error) {
	if c.show != nil {
		err = c.show()
	}
	var files []*os.File
	for _, own := range c.own {
		files = append(files, own.at)
	}
	if c.userns != nil {
		files = append(files, c.userns)
	}
	return errors.Join(err, closeAll(append(files, c.tasks...)))
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
		newCall(pivotRoot, unix.SYS_PIVOT_ROOT, dot, dot), // pivot_root(2), "pivot_root(".", ".")"
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
