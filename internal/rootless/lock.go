// SPDX-License-Identifier: Apache-2.0

package rootless

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spawn"
)

// Names in a store. LockName is only there in stores of ordinary users.
const (
	LockName   = "userns"
	formatName = "format.json"
)

// lockFile is by what the commands on a store find one another's namespace. Who
// is inside has a POSIX read lock on it, which belongs to the process, goes
// through execve(2) and ends with the process, and of which fcntl(2) tells the
// holder. An exclusive flock is held from looking for a namespace until being
// inside, so that only one is made.
type lockFile struct {
	file *os.File // nil where there is no store and none will be: a namespace for one command
}

// openLock opens the lock of the store at root, which is made if nothing stands
// in its place. made says that there is no store yet.
func openLock(root string) (l *lockFile, made bool, err error) {
	if err := makeRoot(root); err != nil {
		return nil, false, fmt.Errorf("open store %s: %w", root, err)
	}
	_, err = os.Lstat(filepath.Join(root, formatName))
	made = errors.Is(err, fs.ErrNotExist)
	if made && !isEmpty(root) { // no store: opening it will say so, and has touched nothing
		return &lockFile{}, false, nil
	}
	path := filepath.Join(root, LockName)
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("open store: %w", notOurs(root, &os.PathError{Op: "open", Path: path, Err: err}))
	}
	f := os.NewFile(uintptr(fd), path)
	if err := linux.Retry(func() error { return unix.Flock(fd, unix.LOCK_EX) }); err != nil {
		return nil, false, errors.Join(os.NewSyscallError("flock", err), f.Close())
	}
	return &lockFile{file: f}, made, nil
}

func makeRoot(root string) error {
	if _, err := os.Lstat(root); !errors.Is(err, fs.ErrNotExist) {
		return notOurs(root, err)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(root, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// notOurs says whose the store is that an ordinary user cannot enter.
func notOurs(root string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if st, e := linux.Lstat(unix.AT_FDCWD, root); e == nil && st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%w; it belongs to user %d and you are user %d: unset STRATA_ROOT, or name a store of yours with --root", err, st.Uid, os.Geteuid())
	}
	return err
}

// isEmpty takes what was begun here before for nothing.
func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && (len(entries) == 0 || len(entries) == 1 && entries[0].Name() == LockName)
}

func (l *lockFile) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// namespace opens the user namespace of the commands that run on the store, or
// that which create makes. The caller closes it.
func (l *lockFile) namespace(create func() (*os.File, error)) (*os.File, error) {
	if l.file != nil {
		if ns := l.shared(); ns != nil {
			return ns, nil
		}
	}
	return create()
}

// shared opens the namespace of a process that holds the lock; nil when there is
// none. The process may end and its id be used again at any moment, but as long
// as the id holds the lock it is a process that is inside.
func (l *lockFile) shared() *os.File {
	for {
		pid := l.holder()
		if pid <= 0 {
			return nil
		}
		ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
		if err == nil && l.holder() == pid && isUsers(ns) {
			return ns
		}
		if err == nil {
			ns.Close()
		}
		if l.holder() == pid { // alive, and not to be entered
			return nil
		}
	}
}

// holder is a process that holds the lock, 0 for none, -1 for one that cannot be
// seen from here.
func (l *lockFile) holder() int {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(l.file.Fd(), unix.F_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}

// isUsers reports whether the caller owns the user namespace and is not in it
// (ioctl_ns(2)).
func isUsers(ns *os.File) bool {
	owner, err := unix.IoctlGetUint32(int(ns.Fd()), unix.NS_GET_OWNER_UID)
	return err == nil && owner == uint32(os.Geteuid())
}

// keep adds the calls by which the process, once inside, takes its read lock and
// lets others look for it. The descriptor stays open: closing it would end the
// lock.
func (l *lockFile) keep(r *spawn.Replacement) {
	if l.file == nil {
		return
	}
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&lock)), unsafe.Sizeof(lock))
	r.Call("strata: lock the user namespace: the kernel refused fcntl(2)", unix.SYS_FCNTL, l.file.Fd(), unix.F_SETLK, r.Pointer(raw))
	r.Call("strata: unlock the user namespace: the kernel refused flock(2)", unix.SYS_FLOCK, l.file.Fd(), unix.LOCK_UN)
}
