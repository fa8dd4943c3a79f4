// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
)

// Trash renames an entry of dir, on the store's filesystem, into the trash.
// Nothing is deleted: that takes a hundred times as long as a rename, and is
// Reap's.
func (s *Store) Trash(dir *os.File, name string) error {
	_, err := s.trash(dir, name)
	return err
}

// trash returns the path in the store that the entry has now.
func (s *Store) trash(dir *os.File, name string) (string, error) {
	to := trashDir + "/" + durable.RandomName()
	err := durable.RenameNew(dir, name, s.root, to)
	if errors.Is(err, unix.EACCES) { // a directory that moves has its ".." written: without privilege it must be writable
		if unix.Fchmodat(int(dir.Fd()), name, 0o700, 0) == nil {
			err = durable.RenameNew(dir, name, s.root, to)
		}
	}
	return to, err
}

// discard renames an entry of the store into the trash and deletes it at once.
func (s *Store) discard(name string) error {
	name, err := s.trash(s.root, name)
	if err != nil {
		return err
	}
	trash, err := s.open(trashDir, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer trash.Close()
	r := remover{ctx: context.Background(), trash: trash}
	return r.run(name[len(trashDir)+1:])
}

// Reaped says what Reap deleted.
type Reaped struct {
	Entries int // files and directories
}

// Reap deletes what is in the trash, at a low priority. If somebody else is
// at it, it returns at once. What somebody still reads, and so holds, stays for
// the next time (held). What cannot be deleted (an immutable file, a mount
// point) stays for the next time and is reported; the rest is deleted. A
// cancelled ctx stops it between two files, and is not an error.
func (s *Store) Reap(ctx context.Context) (Reaped, error) {
	reaped, err := s.reap(ctx)
	if errors.Is(err, durable.ErrLocked) {
		err = nil
	}
	return reaped, err
}

// turn is how often ReapAll looks whether the other reaper has ended. It does
// not wait in flock(2), which nothing but the lock could end.
const turn = 20 * time.Millisecond

// ReapAll is Reap that waits until nobody else is at it, so that what was in the
// trash when it was called is gone when it returns, if nobody reads it.
func (s *Store) ReapAll(ctx context.Context) (Reaped, error) {
	for {
		reaped, err := s.reap(ctx)
		if !errors.Is(err, durable.ErrLocked) {
			return reaped, err
		}
		select {
		case <-ctx.Done():
			return Reaped{}, nil
		case <-time.After(turn):
		}
	}
}

func (s *Store) reap(ctx context.Context) (Reaped, error) {
	trash, err := s.open(trashDir, unix.O_DIRECTORY)
	if err != nil {
		return Reaped{}, err
	}
	lock, err := durable.TryExclusive(trash)
	if err != nil {
		return Reaped{}, errors.Join(err, trash.Close())
	}
	defer lock.Close()
	r := remover{ctx: ctx, trash: trash}
	result := make(chan error)
	go func() {
		yield()
		result <- r.all()
	}()
	err = <-result
	return Reaped{r.entries}, err
}

// yield gives the calling goroutine a thread of its own, which dies with it, at
// a low priority for processor and disk. It is a courtesy: errors do not
// matter.
func yield() {
	runtime.LockOSThread()
	const (
		whoProcess = 1       // IOPRIO_WHO_PROCESS, and 0 is the calling thread
		idle       = 3 << 13 // IOPRIO_CLASS_IDLE (linux/ioprio.h)
	)
	unix.Setpriority(unix.PRIO_PROCESS, 0, 10) // and not 19: on a busy host the space would never come back
	unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, idle)
}

// maxDepth is how far a remover descends, with a descriptor for each level,
// before it moves what is deeper to the top of the trash. A container can make
// trees of any depth.
const maxDepth = 128

// maxErrors is how many failures one run reports.
const maxErrors = 10

// remover deletes trees that are entries of the trash.
type remover struct {
	ctx     context.Context // ends the run; a remover does not outlive the call that made it
	trash   *os.File
	queue   []string // entries of the trash still to be deleted
	entries int
	errs    []error
}

// all deletes every entry of the trash.
func (r *remover) all() error {
	entries, err := linux.ReadDir(int(r.trash.Fd()))
	if err != nil {
		return &os.PathError{Op: "read", Path: r.trash.Name(), Err: err}
	}
	for _, e := range entries {
		if !held(r.trash, e.Name) {
			r.queue = append(r.queue, e.Name)
		}
	}
	return r.run()
}

func (r *remover) run(names ...string) error {
	r.queue = append(r.queue, names...)
	for len(r.queue) > 0 && r.ctx.Err() == nil {
		name := r.queue[0]
		r.queue = r.queue[1:]
		r.remove(r.trash, name, unix.DT_UNKNOWN, 0)
	}
	return errors.Join(r.errs...)
}

func (r *remover) failed(op string, dir *os.File, name string, err error) {
	if err == unix.ENOENT { // somebody else deletes here too
		return
	}
	if len(r.errs) == maxErrors {
		r.errs = append(r.errs, errors.New("and more"))
	}
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &os.PathError{Op: op, Path: dir.Name() + "/" + name, Err: err})
	}
}

// remove deletes the entry name of dir, of the type that getdents64 gave.
func (r *remover) remove(dir *os.File, name string, kind uint8, depth int) {
	if kind != unix.DT_DIR {
		err := r.unlink(dir, name, 0)
		if err == nil {
			return
		}
		if err != unix.EISDIR {
			r.failed("unlink", dir, name, err)
			return
		}
	}
	if depth == maxDepth {
		r.lift(dir, name)
		return
	}
	if r.empty(dir, name, depth) {
		if err := r.unlink(dir, name, unix.AT_REMOVEDIR); err != nil {
			r.failed("rmdir", dir, name, err)
		}
	}
}

// unlink deletes one entry. A directory without write permission keeps nobody
// with privilege from deleting in it; others own it, and give it to themselves.
func (r *remover) unlink(dir *os.File, name string, flags int) error {
	do := func() error {
		return linux.Retry(func() error { return unix.Unlinkat(int(dir.Fd()), name, flags) })
	}
	err := do()
	if err == unix.EACCES && unix.Fchmod(int(dir.Fd()), 0o700) == nil {
		err = do()
	}
	if err == nil {
		r.entries++
	}
	return err
}

// lift moves a directory to the top of the trash, to be deleted from there.
func (r *remover) lift(dir *os.File, name string) {
	top := durable.RandomName()
	if err := durable.RenameNew(dir, name, r.trash, top); err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.queue = append(r.queue, top)
}

// empty deletes what is in the directory name of dir, and tells whether it may
// be empty now.
func (r *remover) empty(dir *os.File, name string, depth int) bool {
	fd, err := linux.OpenHere(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.EACCES && unix.Fchmodat(int(dir.Fd()), name, 0o700, 0) == nil {
		fd, err = linux.OpenHere(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY)
	}
	if err == unix.EXDEV {
		err = fmt.Errorf("something is mounted here: %w", err)
	}
	if err != nil {
		r.failed("open", dir, name, err)
		return false
	}
	sub := os.NewFile(uintptr(fd), dir.Name()+"/"+name)
	defer sub.Close()
	entries, err := linux.ReadDir(fd)
	if err != nil {
		r.failed("read", dir, name, err)
		return false
	}
	for _, e := range entries {
		if r.ctx.Err() != nil {
			return false
		}
		r.remove(sub, e.Name, e.Type, depth+1)
	}
	return true
}
