// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/overlay"
)

// mountTree mounts what a container shows, read-only and detached: its stack
// with the upperdir as the newest layer.
//
// A directory of the host in place of the stack may hold the store, and so the
// upperdir. No layer may lie within another, but an upperdir may lie in a layer
// (ovl_check_layer in fs/overlayfs/super.c); for one the kernel wants an empty
// workdir too, which nobody else uses as long as the mount lives.
func (e *Engine) mountTree(r *container.Record, lower lowers, upper, work *os.File) (*os.File, error) {
	if err := inheritRoot(upper, lower); err != nil {
		return nil, err
	}
	if r.Rootfs == "" {
		return e.mountView(lower, upper)
	}
	root, err := overlay.Stack{Lowers: lower, Upper: upper, Work: work, UserXattr: e.marks.UserXattr}.Mount()
	if err != nil {
		return nil, mountHint(err)
	}
	if err := mount.SetAttr(root, unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// storeWithin is the path of the store in the directory that a container stands
// on, without a slash before it, or "". There it is covered, while the container
// runs and in every view of it: it holds other containers' files and the
// container's own upperdir, on which a lookup fails with ELOOP.
func (e *Engine) storeWithin(r *container.Record) string {
	if r.Rootfs == "" {
		return ""
	}
	real, err := filepath.EvalSymlinks(e.root)
	if err != nil {
		return ""
	}
	within, ok := strings.CutPrefix(real, strings.TrimSuffix(r.Rootfs, "/")+"/")
	if !ok {
		return ""
	}
	return within
}

// coverStore mounts an empty directory over the store in root, an attached view
// of a container. The path may lead through what the container has written.
func (e *Engine) coverStore(r *container.Record, root *os.File) error {
	within := e.storeWithin(r)
	if within == "" {
		return nil
	}
	fd, err := linux.OpenBeneath(int(root.Fd()), within, unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // the container has put something else there
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: "/" + within, Err: err}
	}
	target := os.NewFile(uintptr(fd), "/"+within)
	defer target.Close()
	empty, err := e.emptyView()
	if err != nil {
		return err
	}
	defer empty.Close()
	return mount.Attach(empty, target)
}

// emptyView is a read-only mount of the empty directory, which is everybody's
// lowest layer.
func (e *Engine) emptyView() (*os.File, error) {
	empty, err := mount.Clone(filepath.Join(e.root, "empty"), false)
	if err != nil {
		return nil, err
	}
	if err := mount.SetAttr(empty, unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
		return nil, errors.Join(err, empty.Close())
	}
	return empty, nil
}

// isSame tells whether two open files are one.
func isSame(a, b *os.File) bool {
	x, err := linux.Fstat(int(a.Fd()))
	if err != nil {
		return false
	}
	y, err := linux.Fstat(int(b.Fd()))
	return err == nil && x.Dev == y.Dev && x.Ino == y.Ino
}
