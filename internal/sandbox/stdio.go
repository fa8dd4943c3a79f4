// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// stdioSteps put the three streams in their place. The terminal's come with
// the terminal, in session.
func stdioSteps(p *Plan) []step {
	if p.spec.Process.Terminal {
		return nil
	}
	streams := []*os.File{p.options.Stdin, p.options.Stdout, p.options.Stderr}
	return []step{{prepare: func(prep *preparation) error {
		for i, f := range streams {
			if err := prep.stream(i, f); err != nil {
				return err
			}
			if err := prep.giveStream(f, p.spec.Process.User.UID, p.spec.Process.User.GID); err != nil {
				return err
			}
		}
		return nil
	}}}
}

// stream makes f descriptor number of the child. Descriptors below 3 are first
// duplicated above, so that none is overwritten before it is used.
func (p *preparation) stream(number int, f *os.File) error {
	if f != nil && int(f.Fd()) == number {
		return nil
	}
	var fd int
	var err error
	if f == nil {
		fd, err = linux.OpenAt(unix.AT_FDCWD, "/dev/null", unix.O_RDWR, 0)
	} else {
		fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	}
	if err != nil {
		return os.NewSyscallError("open a standard stream", err)
	}
	p.keep(os.NewFile(uintptr(fd), "stream"))
	p.dup(fd, number)
	return nil
}

func (p *preparation) dup(fd, number int) {
	p.call("set a standard stream", unix.SYS_DUP3, uintptr(fd), uintptr(number), 0)
}

// giveStream makes a pipe the user's, who may then open /dev/stdout or
// /dev/stderr as programs do that write their log there. What has a name on the
// host, a terminal of it included, stays whose it is.
func (p *preparation) giveStream(f *os.File, uid, gid uint32) error {
	if f == nil {
		return nil
	}
	uid, gid, err := p.outsideIDs(uid, gid)
	if err != nil || uid == 0 && gid == 0 {
		return err
	}
	var fs unix.Statfs_t
	if err := linux.Retry(func() error { return unix.Fstatfs(int(f.Fd()), &fs) }); err != nil || fs.Type != unix.PIPEFS_MAGIC {
		return os.NewSyscallError("fstatfs of a standard stream", err)
	}
	err = unix.Fchown(int(f.Fd()), int(uid), int(gid))
	if err == unix.EPERM { // made by somebody who has no id in our user namespace
		return nil
	}
	return os.NewSyscallError("chown a standard stream", err)
}

// outsideIDs are ids of the container as we see them.
func (p *preparation) outsideIDs(uid, gid uint32) (u, g uint32, err error) {
	if p.running == nil {
		u, isUser := outside(p.child.spec.Linux.UIDMappings, uid)
		g, isGroup := outside(p.child.spec.Linux.GIDMappings, gid)
		if !isUser || !isGroup {
			return 0, 0, fmt.Errorf("id %d:%d is not one of the container's user namespace", uid, gid)
		}
		return u, g, nil
	}
	if u, err = p.running.hostID("uid_map", uid); err == nil {
		g, err = p.running.hostID("gid_map", gid)
	}
	return u, g, err
}
