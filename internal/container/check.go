// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/linux"
)

// Checks are what Check needs of those who know more than a container's own files.
type Checks struct {
	Discard   func(path string) error // moves the directory of one that is rubbish away
	Settle    func(*Container) error  // goes on with an interrupted commit
	IsMounted func(path string) bool
}

// Check reports what is wrong with containers and their names, and returns those
// whose records can be read. What a container has written is never touched.
//
// It takes no lock but a shared one for a moment, which keeps nobody from a
// container: see tryExclusive. While somebody has the lock, only what is never
// half-written is looked at.
func (c *Containers) Check(with Checks, report fault.Report) ([]Record, error) {
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, id := range ids {
		r, err := c.check(id, with, report)
		if err != nil {
			return records, fmt.Errorf("container %s: %w", short(id), err)
		}
		if r != nil {
			records = append(records, *r)
		}
	}
	return records, c.checkNames(report)
}

// A checked container is one whose directory is open.
type checked struct {
	*Containers
	id     string
	path   string
	dir    *os.File
	with   Checks
	report fault.Report
}

// check returns nil where there is no record.
func (c *Containers) check(id string, with Checks, report fault.Report) (*Record, error) {
	path := filepath.Join(c.dir, id)
	dir, err := linux.OpenDir(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) { // the latter does not belong there
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	k := &checked{c, id, path, dir, with, report}
	_, err = durable.TryShare(dir) // given back with dir
	switch {
	case errors.Is(err, durable.ErrLocked):
		return k.held()
	case err != nil:
		k.add("its lock cannot be taken: %v", err)
		return nil, nil
	case !k.isThere():
		return nil, nil
	}
	return k.free()
}

// isThere reports whether the directory is still that of the container.
func (k *checked) isThere() bool {
	ours, err := linux.Fstat(int(k.dir.Fd()))
	var there unix.Stat_t
	return err == nil && unix.Lstat(k.path, &there) == nil && there.Ino == ours.Ino && there.Dev == ours.Dev
}

func (k *checked) add(what string, args ...any) *fault.Fault {
	return &fault.Fault{Object: "container " + short(k.id), What: fmt.Sprintf(what, args...)}
}

// held looks at a container that somebody has in hand.
func (k *checked) held() (*Record, error) {
	r, err := noted(k.dir, k.id)
	if errors.Is(err, os.ErrNotExist) || !k.isThere() {
		return nil, nil
	}
	if err != nil {
		if r, err = k.damagedRecord(err); err != nil {
			return nil, nil
		}
	}
	if _, err := readState(k.dir, k.id); err != nil {
		f := k.add("state.json: %v", rootCause(err))
		f.Todo = "it runs: strata rm -f " + short(k.id) + " ends and removes it"
		k.report(*f)
	}
	return &r, nil
}

// free looks at a container that nobody has, and nobody gets meanwhile.
func (k *checked) free() (*Record, error) {
	r, err := readRecord(k.dir, k.id)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, k.unfinished()
	case err != nil:
		if r, err = k.damagedRecord(err); err != nil {
			return nil, nil
		}
	}
	if r.AutoRemove {
		k.report(*k.rubbish("it was to be removed at its end, and whoever ran it was killed"))
		return nil, nil
	}
	if _, err := readState(k.dir, k.id); err != nil {
		f := k.add("state.json: %v", rootCause(err))
		f.Cure, f.Mend = fault.Remake, k.locked(k.mendState)
		k.report(*f)
	}
	k.directories(r)
	k.name(r)
	k.interrupted(r)
	return &r, nil
}

// unfinished is a directory without a record: that of a container that was to be
// removed at its end, or was never finished. One that somebody is just making has
// no lock yet for a moment. Should the record have been lost, what was written is
// all there is: that is left to gc, or to who copies it first.
func (k *checked) unfinished() error {
	until, err := expected(k.dir)
	if err != nil || time.Now().Before(until) {
		return err
	}
	f := k.rubbish("it has no record and nobody runs it")
	if k.hasWritten() {
		f.Mend = nil
		f.Todo = fmt.Sprintf("what it has written is in %s/%s; strata gc removes it", k.path, upperDir)
	}
	k.report(*f)
	return nil
}

func (k *checked) rubbish(what string) *fault.Fault {
	f := k.add("%s", what)
	f.Leftover, f.Cure = true, fault.Trash
	f.Mend = k.locked(func(c *Container) error {
		r, err := readRecord(c.dir, k.id)
		if err == nil && !r.AutoRemove {
			return nil
		}
		return k.with.Discard(k.path)
	})
	return f
}

// hasWritten reports whether there is anything in the upperdir.
func (k *checked) hasWritten() bool {
	entries, err := os.ReadDir(filepath.Join(k.path, upperDir))
	return err == nil && len(entries) > 0
}

// damagedRecord tells what cannot be read: config.json, or resources.json which
// is in its place for the limits. Then the record without them is returned.
func (k *checked) damagedRecord(err error) (Record, error) {
	data, readErr := durable.ReadFile(k.dir, recordFile, maxRecord)
	if readErr == nil {
		if r, parseErr := parseRecord(data, k.id); parseErr == nil {
			k.damagedLimits()
			return r, nil
		}
	}
	f := k.add("config.json: %v", rootCause(err))
	f.Todo = fmt.Sprintf("what it has written is in %s/%s; strata rm -f %s removes it", k.path, upperDir, short(k.id))
	k.report(*f)
	return Record{}, err
}

func (k *checked) damagedLimits() {
	broken := func(dir *os.File) error { var r Record; return changedResources(dir, &r) }
	f := k.add("%s: %v", resourcesFile, rootCause(broken(k.dir)))
	f.Cure = fault.Cure{Will: "removes it: the limits are those of its record again", Did: "removed: the limits are those of its record again"}
	path := k.path
	f.Mend = func() error {
		dir, err := linux.OpenDir(path)
		if err != nil {
			return ignoreMissing(err)
		}
		defer dir.Close()
		lock, err := lockUpdates(dir)
		if err != nil {
			return err
		}
		defer lock.Close()
		if broken(dir) == nil {
			return nil
		}
		return ignoreMissing(unix.Unlinkat(int(dir.Fd()), resourcesFile, 0))
	}
	k.report(*f)
}

// locked calls mend with the container's lock; one that is gone needs no mending.
func (k *checked) locked(mend func(*Container) error) func() error {
	containers, path := k.Containers, k.path
	return func() error {
		c, err := containers.open(path, tryExclusive)
		if errors.Is(err, durable.ErrLocked) {
			return errors.New("somebody has the container in hand now")
		}
		if err != nil {
			return ignoreMissing(err)
		}
		defer c.Close()
		if _, err := os.Lstat(path); err != nil {
			return ignoreMissing(err)
		}
		return mend(c)
	}
}

// mendState says of a container of which nothing is known that it has ended.
func (k *checked) mendState(c *Container) error {
	if _, err := readState(c.dir, k.id); err == nil {
		return nil
	}
	return c.SetState(State{Status: Exited, ExitCode: unknownExit})
}

// directories looks for the upperdir and the workdir. While the former becomes a
// layer it may be gone: that is for who settles an interrupted commit.
func (k *checked) directories(r Record) {
	if r.Sealing != "" {
		return
	}
	for _, name := range []string{upperDir, workDir} {
		st, err := linux.Lstat(int(k.dir.Fd()), name)
		if err != unix.ENOENT {
			if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
				k.report(*k.add("%s: it is no directory", name))
			}
			continue
		}
		f := k.add("%s: it is missing", name)
		f.Cure = fault.Cure{Will: "makes an empty one", Did: "an empty one is made"}
		f.Mend = k.locked(func(c *Container) error {
			if err := unix.Mkdirat(int(c.dir.Fd()), name, FreshMode); err != nil && err != unix.EEXIST {
				return err
			}
			return durable.Sync(c.dir)
		})
		k.report(*f)
	}
}

// interrupted looks for a commit and a mount that are no more.
func (k *checked) interrupted(r Record) {
	if r.Sealing != "" {
		f := k.add("a commit was interrupted")
		f.Leftover, f.Cure = true, fault.Cure{Will: "settles it", Did: "settled"}
		f.Mend = k.locked(func(c *Container) (err error) {
			if c.Record, err = readRecord(c.dir, k.id); err == nil {
				err = k.with.Settle(c)
			}
			return err
		})
		k.report(*f)
	}
	if _, err := linux.Lstat(int(k.dir.Fd()), mountFile); err != nil || k.isMounted(&Container{path: k.path, dir: k.dir}) {
		return
	}
	f := k.add("mounted: nothing is mounted there any more")
	f.Leftover, f.Cure = true, fault.Remove
	f.Mend = k.locked(func(c *Container) error {
		if k.isMounted(c) {
			return nil
		}
		return c.SetMounted("")
	})
	k.report(*f)
}

func (k *checked) isMounted(c *Container) bool {
	at := c.Mounted()
	return at != "" && k.with.IsMounted(at)
}

// rootCause is an error without what the line says already.
func rootCause(err error) error {
	var path *os.PathError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &syntax):
		return syntax
	}
	var record *RecordError
	if errors.As(err, &record) && errors.Unwrap(record.Err) != nil {
		return errors.Unwrap(record.Err)
	}
	return err
}
