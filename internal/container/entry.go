// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"strata/internal/durable"
	"strata/internal/linux"
)

// An Entry is a container as listings need it.
type Entry struct {
	Record Record
	State  State
	Path   string
	held   bool // a process has its lock
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

// A StoppedError is a container that does not run and was to.
type StoppedError struct{ Name string }

func (e *StoppedError) Error() string {
	return "container " + e.Name + " is not running; start it first (strata start -a " + e.Name + ")"
}

// Running returns the container called name while it runs: its State is that of
// a process that is there. One that has just begun to run is waited for, since it
// is noted a moment later. A *StoppedError when it does not run, an *UnknownError
// when there is none.
func (c *Containers) Running(name string) (Entry, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		e, err := c.Entry(name)
		if err != nil || e.State.Alive() {
			return e, err
		}
		if !e.held || e.State.Status == Exited || time.Now().After(deadline) {
			return e, &StoppedError{Name: e.Record.DisplayName()}
		}
	}
}

// entry reads one container; false for rubbish, and for one that is removed
// meanwhile: all is read in one directory, which is this container's whatever
// becomes of its name.
func (c *Containers) entry(id string) (e Entry, ok bool, err error) {
	e.Path = filepath.Join(c.dir, id)
	dir, err := linux.OpenDir(e.Path)
	if errors.Is(err, os.ErrNotExist) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	defer dir.Close()
	e.Record, err = noted(dir, id)
	if errors.Is(err, os.ErrNotExist) {
		return e, false, nil
	}
	if err == nil {
		e.held, err = durable.IsLocked(dir)
	}
	if err != nil || !e.held && e.Record.AutoRemove {
		return e, false, err
	}
	e.State, err = trueState(dir, id, e.held)
	return e, err == nil, err
}

// patience bounds the wait for a record that somebody who has the lock is about
// to write, from when the container was made. A machine with far more to do than
// it can takes seconds for that.
const patience = 10 * time.Second

// noted is readRecord for a container that may have just begun to run: Create
// leaves the record of one that is removed at its end for Publish, a moment
// later.
func noted(dir *os.File, id string) (Record, error) {
	r, err := readRecord(dir, id)
	if !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	deadline, err := expected(dir)
	if err != nil {
		return r, err
	}
	for ; ; time.Sleep(time.Millisecond) {
		late := time.Now().After(deadline)
		held, heldErr := durable.IsLocked(dir)
		if r, err = readRecord(dir, id); !errors.Is(err, os.ErrNotExist) || heldErr != nil || !held {
			return r, err
		}
		if late {
			return r, &RecordError{ID: id, Err: errNoRecord}
		}
	}
}

// expected is until when the record of the container in dir may yet be written: a
// moment after its directory was last changed, when it began.
func expected(dir *os.File) (time.Time, error) {
	info, err := dir.Stat()
	if err != nil {
		return time.Time{}, err
	}
	began := info.ModTime()
	if now := time.Now(); began.After(now) { // the clock was set back
		began = now
	}
	return began.Add(patience), nil
}

// held reports whether a process has the container's lock.
func (c *Containers) held(id string) (bool, error) {
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	return durable.IsLocked(dir)
}

// trueState is what the state file says, corrected by what is true: nothing runs
// whose lock is free.
func trueState(dir *os.File, id string, held bool) (State, error) {
	s, err := readState(dir, id)
	if err != nil && !held { // it is not put on disk, and a power failure may cut it
		return State{Status: Exited, ExitCode: unknownExit}, nil
	}
	if err == nil && s.Status == Running && (!held || s.BootID != linux.BootID()) {
		s = State{Status: Exited, ExitCode: unknownExit, Started: s.Started}
	}
	return s, err
}
