// SPDX-License-Identifier: Apache-2.0

// Package container keeps containers: a record of how one was made, the state
// it is in, its upperdir, and the lock that says who has it in hand.
//
// A container is a directory named by its ID. The lock is a flock on that
// directory, held by whoever runs or changes the container; it is free as soon
// as that process is gone, whatever ended it. The record is written last, for a
// container that is removed at its end a moment after it has begun to run: a
// directory without one is rubbish only if its lock is free.
package container

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
)

const (
	recordFile = "config.json"
	stateFile  = "state.json"
	mountFile  = "mounted"
	upperDir   = "upper"
	workDir    = "work"

	formatVersion = 1
	maxRecord     = 4 << 20
)

// Containers are those of one store.
type Containers struct {
	dir   string // ROOT/containers
	names string // ROOT/names
}

// Open uses the directories dir and names, which exist.
func Open(dir, names string) *Containers { return &Containers{dir: dir, names: names} }

// A Container is one whose directory is open. Close closes it and gives back
// its lock.
type Container struct {
	Record Record
	dir    *os.File
	path   string
	lock   *durable.Lock
	lease  io.Closer
}

// NewID returns 64 hexadecimal digits, as Docker has them. It asks the kernel
// itself: the first use of crypto/rand starts a timer, and with it a thread.
func NewID() string {
	var b [32]byte
	for n := 0; n < len(b); {
		m, err := unix.Getrandom(b[n:], 0)
		if err != nil && err != unix.EINTR {
			panic("getrandom: " + err.Error()) // as crypto/rand does: there is no going on
		}
		n += max(m, 0)
	}
	return hex.EncodeToString(b[:])
}

// Create makes a container with an empty upperdir from r and returns it
// locked. A name that is taken is a *NameError.
//
// Its record is on disk and survives a power failure, unless r.AutoRemove is
// set: then it is not written before Publish, because most such containers are
// gone in a moment and their directory is rubbish either way. The lease is what
// keeps the layers that r refers to from being collected until they are
// referred to on disk; then, or with the container, it is closed.
func (c *Containers) Create(r Record, lease io.Closer) (_ *Container, err error) {
	r.Version = formatVersion
	path := filepath.Join(c.dir, r.ID)
	if err := unix.Mkdir(path, 0o700); err != nil {
		return nil, errors.Join(&os.PathError{Op: "mkdir", Path: path, Err: err}, lease.Close())
	}
	container, err := c.open(path, durable.Exclusive)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path), lease.Close())
	}
	container.Record, container.lease = r, lease
	if err = container.fill(); err == nil {
		err = c.take(r)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path), container.Close())
	}
	return container, nil
}

// open opens and locks the directory at path.
func (c *Containers) open(path string, take func(*os.File) (*durable.Lock, error)) (*Container, error) {
	dir, err := linux.OpenDir(path)
	if err != nil {
		return nil, err
	}
	lock, err := take(dir)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &Container{dir: dir, path: path, lock: lock}, nil
}

// tryExclusive is durable.TryExclusive that is not put off by those who share
// the lock for a moment, to see whether anybody has it.
func tryExclusive(dir *os.File) (*durable.Lock, error) {
	for {
		lock, err := durable.TryExclusive(dir)
		if !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
		again, err := linux.OpenDir(dir.Name())
		if err != nil {
			return nil, err
		}
		shared, err := durable.TryShare(again)
		if err != nil {
			return nil, errors.Join(err, again.Close())
		}
		if err := shared.Close(); err != nil {
			return nil, err
		}
	}
}

// fill makes what is in the directory, the record last.
func (c *Container) fill() error {
	for _, name := range []string{upperDir, workDir} {
		if err := unix.Mkdirat(int(c.dir.Fd()), name, FreshMode); err != nil {
			return &os.PathError{Op: "mkdir", Path: filepath.Join(c.path, name), Err: err}
		}
	}
	if c.Record.AutoRemove {
		return nil
	}
	return c.Publish()
}

// Publish writes the record, where Create has not, and closes the lease.
func (c *Container) Publish() error {
	if c.lease == nil {
		return nil
	}
	if err := c.writeRecord(); err != nil {
		return err
	}
	return c.closeLease()
}

func (c *Container) closeLease() error {
	lease := c.lease
	if c.lease = nil; lease == nil {
		return nil
	}
	return lease.Close()
}

func (c *Container) writeRecord() error {
	data, err := json.Marshal(c.Record)
	if err != nil {
		return err
	}
	if c.Record.AutoRemove {
		return durable.WriteFileRelaxed(c.dir, recordFile, data, 0o600)
	}
	return durable.WriteFile(c.dir, recordFile, data, 0o600)
}

// Lock finds the container called name and takes its lock: a *BusyError when a
// process has it, an *UnknownError when there is none.
func (c *Containers) Lock(name string) (*Container, error) {
	return c.lock(name, tryExclusive)
}

// WaitLock is Lock that waits until the container is free.
func (c *Containers) WaitLock(name string) (*Container, error) {
	return c.lock(name, durable.Exclusive)
}

func (c *Containers) lock(name string, take func(*os.File) (*durable.Lock, error)) (*Container, error) {
	id, err := c.Find(name)
	if err != nil {
		return nil, err
	}
	container, err := c.open(filepath.Join(c.dir, id), take)
	if err == nil {
		if container.Record, err = c.record(id); err != nil {
			container.Close()
		}
	}
	switch {
	case errors.Is(err, durable.ErrLocked):
		return nil, &BusyError{Name: name}
	case errors.Is(err, os.ErrNotExist): // removed meanwhile, or never finished
		return nil, &UnknownError{Name: name}
	case err != nil:
		return nil, err
	}
	return container, nil
}

// A BusyError is a container that another process has locked: it runs, or is
// being changed.
type BusyError struct{ Name string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("container %s is running or in use by another command", e.Name)
}

// Close gives back the lock.
func (c *Container) Close() error {
	if c.lock == nil {
		return nil
	}
	err := errors.Join(c.lock.Close(), c.closeLease())
	c.lock = nil
	return err
}

// Path is the container's directory.
func (c *Container) Path() string { return c.path }

// UpperPath and WorkPath are its upperdir and workdir.
func (c *Container) UpperPath() string { return filepath.Join(c.path, upperDir) }
func (c *Container) WorkPath() string  { return filepath.Join(c.path, workDir) }

// OpenUpper opens the upperdir. The caller closes it.
func (c *Container) OpenUpper() (*os.File, error) { return linux.OpenDir(c.UpperPath()) }

// OpenWork opens the workdir. The caller closes it.
func (c *Container) OpenWork() (*os.File, error) { return linux.OpenDir(c.WorkPath()) }

// Rebase writes the record with another stack. With it everything is on disk
// that was done before, the layers of that stack too.
func (c *Container) Rebase(r Record) (err error) {
	b := durable.NewBatch(c.dir)
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := c.RebaseIn(b, r); err != nil {
		return err
	}
	return b.Commit()
}

// RebaseIn is Rebase as part of a batch.
func (c *Container) RebaseIn(b *durable.Batch, r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := b.WriteFile(c.dir, recordFile, data, 0o600); err != nil {
		return err
	}
	b.Do(func() error { c.Record = r; return nil })
	return nil
}

// FreshMode is that of an upperdir that has not yet been given mode and owner of
// the root directory that it stands for. From then on they are the container's.
const FreshMode = 0o1700

// RenewUpper makes the upperdir anew where it has been taken away to become a
// layer.
func (c *Container) RenewUpper() error {
	err := unix.Mkdirat(int(c.dir.Fd()), upperDir, FreshMode)
	if err != nil && err != unix.EEXIST {
		return &os.PathError{Op: "mkdir", Path: c.UpperPath(), Err: err}
	}
	return nil
}

// Dir is the container's directory, open as long as the lock is held.
func (c *Container) Dir() *os.File { return c.dir }

// UpperName is the name of the upperdir in Dir.
const UpperName = upperDir

// take reserves the name of r. A name whose container is gone is free.
func (c *Containers) take(r Record) error {
	if r.Name == "" {
		return nil
	}
	link, target := filepath.Join(c.names, r.Name), filepath.Join("..", "containers", r.ID)
	for {
		err := unix.Symlink(target, link)
		if err == nil {
			return c.syncNames(r)
		}
		if err != unix.EEXIST {
			return &os.PathError{Op: "symlink", Path: link, Err: err}
		}
		id, err := c.named(r.Name)
		if err == nil {
			return &NameError{Name: r.Name, ID: id}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		c.release(r.Name, id)
	}
}

func (c *Containers) syncNames(r Record) error {
	if r.AutoRemove {
		return nil
	}
	dir, err := linux.OpenDir(c.names)
	if err != nil {
		return err
	}
	defer dir.Close()
	return durable.Sync(dir)
}

// named is the ID of the container that has the name; os.ErrNotExist when the
// name is free or left over, with the ID it was left over from.
func (c *Containers) named(name string) (string, error) {
	target, err := os.Readlink(filepath.Join(c.names, name))
	if err != nil {
		return "", err
	}
	id := filepath.Base(target)
	_, err = os.Lstat(filepath.Join(c.dir, id))
	return id, err
}

// release frees a name that belongs to the container id.
func (c *Containers) release(name, id string) {
	link := filepath.Join(c.names, name)
	if target, err := os.Readlink(link); err == nil && filepath.Base(target) == id {
		os.Remove(link)
	}
}

// A NameError is a name that another container has.
type NameError struct{ Name, ID string }

func (e *NameError) Error() string {
	return fmt.Sprintf("name %q is in use by container %s; remove that container (strata rm %s) or choose another name",
		e.Name, e.ID[:min(12, len(e.ID))], e.Name)
}

// CheckName refuses what cannot be a name: Docker's rule,
// [a-zA-Z0-9][a-zA-Z0-9_.-]+, and at most 128 bytes.
func CheckName(name string) error {
	const first = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if len(name) < 2 || len(name) > 128 || !strings.Contains(first, name[:1]) || strings.Trim(name, first+"_.-") != "" {
		return fmt.Errorf("name %q: use 2 to 128 letters, digits, '_', '.' and '-', beginning with a letter or digit", name)
	}
	return nil
}

// Remove takes the container's name and then hands its directory to discard,
// which moves it away. The container stays locked until Close.
func (c *Containers) Remove(container *Container, discard func(path string) error) error {
	if err := discard(container.path); err != nil {
		return err
	}
	if name := container.Record.Name; name != "" {
		c.release(name, container.Record.ID)
	}
	return nil
}
