// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
)

// byThread uses mount(2), for kernels before 6.5. That call can only mount onto
// a path, so a thread gets a mount namespace of its own where nobody sees the
// mount, and leaves with a detached clone of it. Whatever kills the process
// takes the namespace along.
func byThread(s Stack) (m *os.File, err error) {
	mount.OnThread(func() { m, err = s.mountInNamespace() })
	return m, err
}

func (s Stack) mountInNamespace() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("mount overlay: unshare the mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("mount overlay: make / private: %w", err)
	}
	here, err := s.reopen()
	defer here.close()
	if err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	// Names relative to this directory are short enough that 500 of them fit
	// in the one page that mount(2) takes.
	if err := unix.Chdir("/proc/self/fd"); err != nil {
		return nil, fmt.Errorf("mount overlay: chdir /proc/self/fd: %w", err)
	}
	options := here.legacyOptions()
	err = legacyMount(options)
	if err == unix.EINVAL && s.Volatile {
		here.Volatile = false // not before Linux 5.10
		options = here.legacyOptions()
		err = legacyMount(options)
	}
	if err != nil {
		return nil, &mount.Error{Call: "mount", FSType: "overlay", Options: options, Err: err}
	}
	return mount.Clone("/proc", false)
}

// legacyMount mounts over /proc, a directory that is there wherever the layers'
// names are.
func legacyMount(options []mount.Option) error {
	words := make([]string, len(options))
	for i, o := range options {
		words[i] = o.String()
	}
	data := strings.Join(words, ",")
	return linux.Retry(func() error { return unix.Mount("overlay", "/proc", "overlay", 0, data) })
}

func (s Stack) legacyOptions() []mount.Option {
	names := make([]string, 0, len(s.Lowers))
	for _, lower := range slices.Backward(s.Lowers) {
		names = append(names, fdName(lower))
	}
	options := []mount.Option{{Key: "lowerdir", Value: strings.Join(names, ":")}}
	if s.Upper != nil {
		options = append(options,
			mount.Option{Key: "upperdir", Value: fdName(s.Upper)},
			mount.Option{Key: "workdir", Value: fdName(s.Work)})
	}
	return append(options, s.features()...)
}

func fdName(f *os.File) string { return strconv.Itoa(int(f.Fd())) }

// reopen opens the stack's directories again in the thread's own mount
// namespace: the kernel refuses a layer on a mount of another one
// (clone_private_mount in fs/namespace.c, since CVE-2021-3732). The result is
// to be closed, also when there is an error.
func (s Stack) reopen() (Stack, error) {
	here := s
	here.Lowers, here.Upper, here.Work = nil, nil, nil
	for _, lower := range s.Lowers {
		f, err := reopenDir(lower)
		if err != nil {
			return here, err
		}
		here.Lowers = append(here.Lowers, f)
	}
	if s.Upper == nil {
		return here, nil
	}
	var err error
	if here.Upper, err = reopenDir(s.Upper); err != nil {
		return here, err
	}
	here.Work, err = reopenDir(s.Work)
	return here, err
}

// reopenDir finds the path of f and checks that the directory there is the
// same: a path is only a hint.
func reopenDir(f *os.File) (*os.File, error) {
	path, err := os.Readlink("/proc/self/fd/" + fdName(f))
	if err != nil {
		return nil, err
	}
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	there := os.NewFile(uintptr(fd), path)
	old, err := linux.Fstat(int(f.Fd()))
	st, err2 := linux.Fstat(fd)
	if err != nil || err2 != nil || old.Dev != st.Dev || old.Ino != st.Ino {
		there.Close()
		return nil, &os.PathError{Op: "open again", Path: path, Err: unix.ESTALE}
	}
	return there, nil
}

func (s Stack) close() {
	for _, f := range append(s.Lowers, s.Upper, s.Work) {
		if f != nil {
			f.Close()
		}
	}
}
