// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// lowers are the open lowerdirs of a stack, oldest first.
type lowers []*os.File

func (l lowers) close() error {
	var errs []error
	for _, f := range l {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// openLowers opens the directories that r stands on. The caller closes them.
func (e *Engine) openLowers(r *container.Record) (lowers, error) {
	if r.Rootfs != "" {
		dir, err := linux.OpenDir(r.Rootfs)
		if err != nil {
			return nil, err
		}
		return lowers{dir}, nil
	}
	return e.openLayers(r.Layers)
}

func (e *Engine) openLayers(layers []oci.Digest) (lowers, error) {
	if len(layers) == 0 { // an image of no layers: an empty directory stands for them
		dir, err := e.store.Dir("empty")
		if err != nil {
			return nil, err
		}
		return lowers{dir}, nil
	}
	return e.store.Lowers(newestOnly(layers))
}

// newestOnly leaves of a layer that stands in a stack more than once, as empty
// ones do, the newest: it hides and shows the same as both, and the kernel takes
// no directory twice.
func newestOnly(layers []oci.Digest) []oci.Digest {
	var distinct []oci.Digest
	for i, id := range layers {
		if !slices.Contains(layers[i+1:], id) {
			distinct = append(distinct, id)
		}
	}
	return distinct
}

// mountContainer mounts the root filesystem of a locked container, detached,
// with its ids mapped unless userns is nil. The caller closes it.
func (e *Engine) mountContainer(c *container.Container, ids *idRange, userns *os.File) (*os.File, error) {
	lower, err := e.openLowers(&c.Record)
	if err != nil {
		return nil, err
	}
	defer func() { lower.close() }()
	upper, work, err := openWritable(c)
	if err != nil {
		return nil, err
	}
	defer func() { lowers{upper, work}.close() }()
	if err := inheritRoot(upper, lower); err != nil {
		return nil, err
	}
	if userns != nil {
		own, err := mapIDs(lower, &upper, &work, c.Path(), userns)
		if err != nil {
			return nil, err
		}
		defer own.Close()
	}
	stack := overlay.Stack{
		Lowers: lower, Upper: upper, Work: work,
		Volatile: c.Record.AutoRemove, UserXattr: e.marks.UserXattr,
	}
	root, err := ids.mount(stack)
	if err != nil {
		return nil, e.ids.mountHint(c.Record.Rootfs, err)
	}
	if c.Record.Host.Privileged {
		return root, nil
	}
	// While no cgroup forbids devices, mknod must give nothing.
	if err := mount.SetAttr(root, unix.MOUNT_ATTR_NODEV, 0, false); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// openWritable opens a container's upperdir and workdir. The caller closes them.
func openWritable(c *container.Container) (upper, work *os.File, err error) {
	if upper, err = c.OpenUpper(); err != nil {
		return nil, nil, err
	}
	if work, err = c.OpenWork(); err != nil {
		return nil, nil, errors.Join(err, upper.Close())
	}
	return upper, work, nil
}

// inheritRoot gives a fresh upperdir the mode and owner of the root directory
// beneath it: of a merged directory the kernel shows the newest one's.
func inheritRoot(upper *os.File, lower lowers) error {
	below, err := linux.Fstat(int(lower[len(lower)-1].Fd()))
	if err != nil {
		return err
	}
	own, err := linux.Fstat(int(upper.Fd()))
	if err != nil {
		return err
	}
	if own.Mode&0o7777 != container.FreshMode {
		return nil
	}
	if own.Uid != below.Uid || own.Gid != below.Gid {
		err := unix.Fchown(int(upper.Fd()), int(below.Uid), int(below.Gid))
		if err != nil && err != unix.EINVAL { // somebody without an id in our user namespace
			return &os.PathError{Op: "chown", Path: upper.Name(), Err: err}
		}
	}
	return unix.Fchmod(int(upper.Fd()), below.Mode&0o7777)
}

// rootChanged tells whether the container has changed mode or owner of its root
// directory.
func rootChanged(upper *os.File, lower lowers) (bool, error) {
	below, err := linux.Fstat(int(lower[len(lower)-1].Fd()))
	if err != nil {
		return false, err
	}
	own, err := linux.Fstat(int(upper.Fd()))
	return own.Mode != below.Mode || own.Uid != below.Uid || own.Gid != below.Gid, err
}

// mountView mounts a stack read-only, with top, if not nil, as its newest layer.
func (e *Engine) mountView(lower lowers, top *os.File) (*os.File, error) {
	if top != nil {
		lower = append(lower[:len(lower):len(lower)], top)
	}
	empty, err := e.store.Dir("empty")
	if err != nil {
		return nil, err
	}
	defer empty.Close()
	if len(lower) == 1 && isSame(lower[0], empty) { // no layers: of one directory the kernel makes no overlay
		return e.emptyView()
	}
	root, err := overlay.Stack{Lowers: lower, Empty: empty, UserXattr: e.marks.UserXattr}.Mount()
	return root, mountHint(err)
}

// mountHint says what to do about a kernel that does not let us mount.
func mountHint(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) && linux.InUserNamespace():
		return fmt.Errorf("%w; root of a user namespace mounts in a mount namespace of that only: strata unshare makes both, or unshare --user --mount", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w; mounting needs CAP_SYS_ADMIN: in a container, start that with --privileged", err)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w; the kernel has no overlay filesystem: load it with `modprobe overlay`", err)
	}
	return err
}

// escapeLower escapes what separates directories and options (mount(8) and
// fs/overlayfs/params.c).
func escapeLower(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}
