// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"strata/internal/durable"
)

// A RecordError is a container whose record cannot be read, or was never
// written though it runs, or that runs and whose state cannot be read. It can be
// removed, by force, and nothing else.
type RecordError struct {
	ID  string
	Err error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("container %s: %v; strata rm -f %s removes it", short(e.ID), e.Err, short(e.ID))
}

func (e *RecordError) Unwrap() error { return e.Err }

// errNoRecord is what a full disk leaves of a container that is removed at its
// end: it may run without a record.
var errNoRecord = errors.New("it runs, but its record could not be written")

// LockToRemove waits for the lock of the container id, whatever its record is
// like: of the Record no more is there than ID and name.
func (c *Containers) LockToRemove(id string) (*Container, error) {
	path := filepath.Join(c.dir, id)
	container, err := c.open(path, durable.Exclusive)
	if err == nil {
		if _, err = os.Lstat(path); err != nil { // whoever had the lock has removed it
			container.Close()
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, &UnknownError{Name: short(id)}
	}
	if err != nil {
		return nil, err
	}
	container.Record = Record{ID: id, Name: c.nameOf(id)}
	return container, nil
}

// nameOf finds the name that was reserved for the container id, "" for none.
func (c *Containers) nameOf(id string) string {
	entries, _ := os.ReadDir(c.names)
	for _, e := range entries {
		if named, err := c.named(e.Name()); err == nil && named == id {
			return e.Name()
		}
	}
	return ""
}

// unrecorded is the entry of a container that runs without a record.
func (c *Containers) unrecorded(id string) (Entry, error) {
	path := filepath.Join(c.dir, id)
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	began := info.ModTime().UTC()
	return Entry{
		Record: Record{ID: id, Name: c.nameOf(id), Created: began, AutoRemove: true},
		State:  State{Status: Running, Started: began}, Path: path,
	}, nil
}
