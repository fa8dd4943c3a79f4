// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// An Entry is a container as listings need it.
type Entry struct {
	Record Record
	State  State
	Path   string
}

// List returns all containers, newest first, without taking a lock. Rubbish is
// left out: directories without a record, and containers to be removed
// automatically whose process is gone. A record that cannot be read is a
// *RecordError, joined with others, that does not hide the rest; of a container
// that runs and has none there is what is known.
func (c *Containers) List() ([]Entry, error) {
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	var errs []error
	for _, id := range ids {
		e, ok, err := c.entry(id)
		if errors.Is(err, errNoRecord) {
			e, err = c.unrecorded(id)
			ok = err == nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		} else if ok {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return b.Record.Created.Compare(a.Record.Created) })
	return entries, errors.Join(errs...)
}

// Entry returns one container as List does, if it has a record.
func (c *Containers) Entry(name string) (Entry, error) {
	id, err := c.Find(name)
	if err != nil {
		return Entry{}, err
	}
	e, ok, err := c.entry(id)
	if err == nil && !ok {
		err = &UnknownError{Name: name}
	}
	return e, err
}

// entry reads one container; false for rubbish.
func (c *Containers) entry(id string) (e Entry, ok bool, err error) {
	r, err := c.noted(id)
	if errors.Is(err, os.ErrNotExist) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	e = Entry{Record: r, Path: filepath.Join(c.dir, id)}
	held, err := c.held(id)
	if errors.Is(err, os.ErrNotExist) || err == nil && !held && r.AutoRemove {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	e.State, err = c.state(id, held)
	return e, err == nil, err
}

// patience bounds the wait for a record that somebody who has the lock is about
// to write, from when the container was made.
const patience = 2 * time.Second

// noted is record for a container that may have just begun to run: Create
// leaves the record of one that is removed at its end for Publish, a moment
// later.
func (c *Containers) noted(id string) (Record, error) {
	r, err := c.record(id)
	if !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	deadline, err := c.expected(id)
	if err != nil {
		return r, err
	}
	for ; ; time.Sleep(time.Millisecond) {
		late := time.Now().After(deadline)
		held, heldErr := c.held(id)
		if r, err = c.record(id); !errors.Is(err, os.ErrNotExist) || heldErr != nil || !held {
			return r, err
		}
		if late {
			return r, &RecordError{ID: id, Err: errNoRecord}
		}
	}
}

// held reports whether a process has the container's lock.
func (c *Containers) held(id string) (bool, error) {
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if err != nil {
		return false, err
	}
	lock, err := durable.TryShare(dir)
	if errors.Is(err, durable.ErrLocked) {
		return true, dir.Close()
	}
	if err != nil {
		return false, errors.Join(err, dir.Close())
	}
	return false, lock.Close()
}

// state is what the state file says, corrected by what is true: nothing runs
// whose lock is free.
func (c *Containers) state(id string, held bool) (State, error) {
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if err != nil {
		return State{}, err
	}
	defer dir.Close()
	s, err := readState(dir, id)
	if err != nil && !held { // it is not put on disk, and a power failure may cut it
		return State{Status: Exited, ExitCode: unknownExit}, nil
	}
	if err == nil && s.Status == Running && (!held || s.BootID != linux.BootID()) {
		s = State{Status: Exited, ExitCode: unknownExit, Started: s.Started}
	}
	return s, err
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

// RunningState is the state of the container id, which must run: its first
// process is there.
func (c *Containers) RunningState(id string) (State, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		e, err := c.Entry(id)
		if err != nil {
			return State{}, err
		}
		if e.State.Alive() {
			return e.State, nil
		}
		// One that has just begun is noted as running a moment later.
		held, err := c.held(e.Record.ID)
		if err != nil || !held || e.State.Status == Exited || time.Now().After(deadline) {
			return State{}, errors.Join(err, errors.New("it is not running; start it first (strata start "+e.Record.DisplayName()+")"))
		}
	}
}
