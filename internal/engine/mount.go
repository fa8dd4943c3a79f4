// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/mount"
)

// Mount mounts a container that is not running, or an image, read-only on the
// host and returns where. It stays until Unmount. A container that is mounted
// cannot be started: its upperdir is a lowerdir of the mount.
func (e *Engine) Mount(name string) (string, error) {
	c, err := e.containers.Lock(name)
	var unknown *container.UnknownError
	switch {
	case errors.As(err, &unknown):
		return e.mountImage(name, unknown)
	case err != nil:
		return "", fmt.Errorf("mount %s: %w", name, err)
	}
	defer c.Close()
	if at := mountedAt(c); at != "" {
		return at, nil
	}
	if err := e.settle(c); err != nil {
		return "", err
	}
	path := e.hostPath(c.Record.ID)
	if err := c.SetMounted(path); err != nil {
		return "", err
	}
	if err := e.mountStopped(c, path); err != nil {
		return "", errors.Join(fmt.Errorf("mount %s: %w", name, err), c.SetMounted(""))
	}
	return path, nil
}

// mountStopped mounts a locked container at path.
func (e *Engine) mountStopped(c *container.Container, path string) error {
	lower, err := e.openLowers(&c.Record)
	if err != nil {
		return err
	}
	defer lower.close()
	upper, err := c.OpenUpper()
	if err != nil {
		return err
	}
	defer upper.Close()
	work, err := c.OpenWork()
	if err != nil {
		return err
	}
	defer work.Close()
	root, err := e.mountTree(&c.Record, lower, upper, work)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := attach(root, path); err != nil {
		return err
	}
	if err := e.coverStore(&c.Record, root); err != nil {
		return errors.Join(err, detach(path))
	}
	return nil
}

// mountImage mounts an image, or says that name is neither that nor a container.
func (e *Engine) mountImage(name string, unknown error) (string, error) {
	img, err := e.Image(name)
	var none *image.UnknownError
	if errors.As(err, &none) {
		return "", fmt.Errorf("mount: %w, and %w", unknown, err)
	}
	if err != nil {
		return "", err
	}
	path := e.hostPath(img.ID.Hex())
	if mounted, _ := mount.IsMountPoint(path); mounted {
		return path, nil
	}
	lower, err := e.openLayers(img.Layers)
	if err != nil {
		return "", err
	}
	defer lower.close()
	root, err := e.mountView(lower, nil)
	if err == nil {
		defer root.Close()
		err = attach(root, path)
	}
	if err != nil {
		return "", fmt.Errorf("mount image %s: %w", name, err)
	}
	return path, nil
}

// mountedAt is where the container is mounted on the host, "" for nowhere. One
// that somebody took away with umount(8) is mounted no more.
func mountedAt(c *container.Container) string {
	at := c.Mounted()
	if at == "" {
		return ""
	}
	if !isMounted(at) {
		return ""
	}
	return at
}

// isMounted takes a kernel that cannot tell for one that says yes.
func isMounted(path string) bool {
	mounted, err := mount.IsMountPoint(path)
	return mounted || err != nil && !errors.Is(err, os.ErrNotExist)
}

func (e *Engine) hostPath(id string) string { return filepath.Join(e.root, "mounts", id) }

// attach puts a detached mount at path, a mount point that it makes.
func attach(root *os.File, path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := mount.AttachAt(root, path); err != nil {
		return errors.Join(err, unix.Rmdir(path))
	}
	return nil
}

// Unmount takes away what Mount made of name.
func (e *Engine) Unmount(name string) error {
	c, err := e.containers.Lock(name)
	var unknown *container.UnknownError
	if errors.As(err, &unknown) {
		return e.unmountImage(name, unknown)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", name, err)
	}
	defer c.Close()
	at := c.Mounted()
	if at == "" {
		return fmt.Errorf("unmount %s: it is not mounted", name)
	}
	if err := detach(at); err != nil {
		return err
	}
	return c.SetMounted("")
}

func (e *Engine) unmountImage(name string, unknown error) error {
	img, err := e.images.Resolve(name)
	var none *image.UnknownError
	if errors.As(err, &none) {
		return fmt.Errorf("unmount: %w, and %w", unknown, err)
	}
	if err != nil {
		return err
	}
	path := e.hostPath(img.ID.Hex())
	if mounted, _ := mount.IsMountPoint(path); !mounted {
		return fmt.Errorf("unmount %s: it is not mounted", name)
	}
	return detach(path)
}

// detach ends the mount at path, if it is still there, and removes its mount
// point.
func detach(path string) error {
	if err := mount.Detach(path); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// A MountedTree is something that Mount made.
type MountedTree struct {
	Name string // of the container or image, or its ID where that has gone
	Path string
}

// Mounted lists what is mounted on the host.
func (e *Engine) Mounted() ([]MountedTree, error) {
	dir, err := e.store.Dir("mounts")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	ids, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var trees []MountedTree
	for _, id := range ids {
		path := e.hostPath(id)
		if mounted, _ := mount.IsMountPoint(path); mounted && !durable.IsTemporary(id) {
			trees = append(trees, MountedTree{e.nameOf(id), path})
		}
	}
	return trees, nil
}

func (e *Engine) nameOf(id string) string {
	if c, err := e.containers.Entry(id); err == nil {
		return c.Record.DisplayName()
	}
	return id[:min(12, len(id))]
}
