// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"strata/internal/container"
)

// Remove removes the container called name: its directory goes to the trash.
// One that runs is refused unless force is set; then it is killed first.
func (e *Engine) Remove(name string, force bool) error {
	c, err := e.containers.Lock(name)
	var busy *container.BusyError
	if errors.As(err, &busy) && force {
		c, err = e.killAndLock(name)
	}
	var damaged *container.RecordError
	if errors.As(err, &damaged) && force {
		c, err = e.containers.LockToRemove(damaged.ID)
	}
	var gone *container.UnknownError
	if busy != nil && errors.As(err, &gone) { // it was to be removed at its end
		return nil
	}
	if errors.As(err, &busy) {
		return fmt.Errorf("%w; stop it, or remove it with --force", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(e.dropCgroup(&c.Record), e.Discard(c), c.Close())
}

// Discard removes a locked container.
func (e *Engine) Discard(c *container.Container) error {
	if at := mountedAt(c); at != "" {
		return fmt.Errorf("container %s is mounted at %s; unmount it first (strata umount %s)",
			c.Record.DisplayName(), at, c.Record.DisplayName())
	}
	return e.containers.Remove(c, e.trash)
}

// trash renames a container's directory into the store's trash.
func (e *Engine) trash(path string) error {
	dir, err := e.store.Dir("containers")
	if err != nil {
		return err
	}
	defer dir.Close()
	return e.store.Trash(dir, filepath.Base(path))
}

// killAndLock ends a running container by its process and waits until whoever
// ran it has let it go. One that has just begun to run is not noted yet.
func (e *Engine) killAndLock(name string) (*container.Container, error) {
	id, err := e.containers.Find(name)
	if err != nil {
		return nil, err
	}
	for {
		c, err := e.containers.Lock(id)
		var busy *container.BusyError
		if !errors.As(err, &busy) {
			return c, err
		}
		killed, err := e.containers.Kill(id)
		if err != nil {
			return nil, err
		}
		if killed {
			e.thawKilled(id)
			return e.containers.LockToRemove(id)
		}
		time.Sleep(short)
	}
}
