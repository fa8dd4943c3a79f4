// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/spelling"
)

// An UnknownError is a name that no container has, with those that are near.
type UnknownError struct {
	Name    string
	Nearest []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("container %s: no such container", e.Name) + spelling.Question(e.Nearest)
}

// Find returns the ID of the container with the given name, ID, or beginning of
// an ID that no other has.
func (c *Containers) Find(name string) (string, error) {
	if CheckName(name) == nil {
		if id, err := c.named(name); err == nil {
			return id, nil
		}
	}
	ids, err := c.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		if name != "" && strings.HasPrefix(id, name) || AutoName(id) == name {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &UnknownError{Name: name, Nearest: c.nearest(name)}
	}
	return "", fmt.Errorf("container %q: %d containers begin with it; give more digits", name, len(found))
}

// ids lists the directories, those without a record included.
func (c *Containers) ids() ([]string, error) {
	dir, err := linux.OpenDir(c.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: c.dir, Err: err}
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		if len(e.Name) == 64 {
			ids = append(ids, e.Name)
		}
	}
	return ids, nil
}

// Rubbish calls discard for the directory of each container that is none:
// without a record, or to be removed automatically, and with a free lock.
func (c *Containers) Rubbish(discard func(path string) error) (n int, err error) {
	ids, err := c.ids()
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range ids {
		removed, err := c.discardRubbish(id, discard)
		if removed {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(append(errs, c.releaseLeftovers())...)
}

func (c *Containers) discardRubbish(id string, discard func(string) error) (bool, error) {
	container, err := c.open(filepath.Join(c.dir, id), tryExclusive)
	if errors.Is(err, durable.ErrLocked) || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer container.Close()
	r, err := c.record(id)
	if err == nil && !r.AutoRemove {
		return false, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err // unreadable is not rubbish: somebody may mend it
	}
	return true, discard(container.path)
}

// releaseLeftovers frees the names of containers that are gone.
func (c *Containers) releaseLeftovers() error {
	entries, err := os.ReadDir(c.names)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if id, err := c.named(e.Name()); errors.Is(err, os.ErrNotExist) && id != "" {
			c.release(e.Name(), id)
		}
	}
	return nil
}

// nearest lists names that could have been meant.
func (c *Containers) nearest(name string) []string {
	entries, _ := c.List()
	var names []string
	for _, e := range entries {
		if other := e.Record.DisplayName(); other != name { // one that has just come is not what was meant
			names = append(names, other)
		}
	}
	return spelling.Nearest(name, names)
}
