// SPDX-License-Identifier: Apache-2.0

// Package mount makes and changes mounts through descriptors: a mount is
// created detached (fsopen(2), fsmount(2), open_tree(2)), adjusted, and attached
// only where and when it is wanted. A detached mount is in nobody's mount table
// and is gone when its last descriptor is closed, whatever ends the process.
package mount

import (
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// SetAttr sets and clears the MOUNT_ATTR_* bits of the mount at f, and of all
// mounts beneath it when recursive (mount_setattr(2), Linux 5.12).
func SetAttr(f *os.File, set, clear uint64, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: set, Attr_clr: clear}
	err := linux.Retry(func() error { return unix.MountSetattr(int(f.Fd()), "", flags, &attr) })
	return pathError("mount_setattr", f.Name(), err)
}

// Clone is a bind mount that is not yet anywhere: a detached copy of the mount
// that path is on, with path as its root, and of the mounts beneath path when
// recursive. Symbolic links are followed, so path must be ours and not one inside
// a rootfs. The caller closes the result.
func Clone(path string, recursive bool) (*os.File, error) {
	return openTree(unix.AT_FDCWD, path, path, cloneFlags(recursive))
}

// CloneFile is Clone of what f has open.
func CloneFile(f *os.File, recursive bool) (*os.File, error) {
	return openTree(int(f.Fd()), "", f.Name(), cloneFlags(recursive)|unix.AT_EMPTY_PATH)
}

// SetIDMap makes the detached mount m show ids as the user namespace userns maps
// them: what its filesystem stores as id 0 is seen, and is to be acted on, as the
// host's id behind 0 of the namespace. It can be set once (mount_setattr(2), "ID
// mapped mounts"). EINVAL: the filesystem cannot do it. With recursive the mounts
// beneath m too.
func SetIDMap(m, userns *os.File, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd())}
	err := linux.Retry(func() error { return unix.MountSetattr(int(m.Fd()), "", flags, &attr) })
	return pathError("mount_setattr idmap", m.Name(), err)
}

func cloneFlags(recursive bool) uint {
	if recursive {
		return unix.OPEN_TREE_CLONE | unix.AT_RECURSIVE
	}
	return unix.OPEN_TREE_CLONE
}

func openTree(dir int, path, name string, flags uint) (*os.File, error) {
	var fd int
	err := linux.Retry(func() (err error) {
		fd, err = unix.OpenTree(dir, path, flags|unix.OPEN_TREE_CLOEXEC)
		return err
	})
	if err != nil {
		return nil, pathError("open_tree", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Attach puts the detached mount onto target, a directory for a directory and a
// file for a file, in the calling thread's mount namespace. Both stay open; the
// mount now lives as long as its namespace.
func Attach(mount, target *os.File) error {
	const flags = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	err := linux.Retry(func() error {
		return unix.MoveMount(int(mount.Fd()), "", int(target.Fd()), "", flags)
	})
	return pathError("move_mount", target.Name(), err)
}

// AttachAt is Attach onto a path of ours. A symbolic link at its end is not
// followed.
func AttachAt(mount *os.File, path string) error {
	err := linux.Retry(func() error {
		return unix.MoveMount(int(mount.Fd()), "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
	return pathError("move_mount", path, err)
}

// Detach takes the topmost mount at path out of the tree at once; it ends when
// its last user does (umount2(2), MNT_DETACH). A path that is no mount point
// fails with EINVAL.
func Detach(path string) error {
	err := linux.Retry(func() error {
		return unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	})
	return pathError("umount", path, err)
}

// IsMountPoint reports whether the root of a mount is at path, as statx(2) says
// it since Linux 5.8. A bind mount of a directory onto itself counts, which
// comparing device numbers would not see.
func IsMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	err := linux.Retry(func() error {
		return unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	})
	if err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		err = unix.ENOTSUP
	}
	if err != nil {
		return false, pathError("statx", path, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

func pathError(call, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: call, Path: path, Err: err}
}
