// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long processes that were killed may take to end, and how
// long they may take to stop: one that waits for a disk does neither.
const patience = 10 * time.Second

// Remove ends what is still in the cgroup and removes it. One that is not there
// is no error.
func (g *Group) Remove() error {
	deadline := time.Now().Add(patience)
	err := g.rmdir()
	for isErrno(err, unix.EBUSY) && time.Now().Before(deadline) {
		if killErr := g.kill(deadline); killErr != nil {
			return errors.Join(killErr, g.Close())
		}
		err = g.rmdir()
	}
	if err != nil {
		return errors.Join(&Error{Op: "remove cgroup " + g.path, Errno: cause(err)}, g.Close())
	}
	return g.unmake() // what was made above it
}

// rmdir removes the cgroup's directories that there are.
func (g *Group) rmdir() error {
	for _, dir := range g.places() {
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT && err != unix.ENOTDIR && err != unix.ENODEV {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
	return nil
}

// kill ends every process in the cgroup and waits until all are gone.
func (g *Group) kill(deadline time.Time) error {
	if g.system.Version == 2 {
		write(g.dirOf("")+"/cgroup.kill", "1") // at once, before any can fork; Linux 5.14
	}
	for {
		fds, err := g.killEach()
		if err != nil || len(fds) == 0 {
			// A process leaves its cgroup a moment after it can be reaped (since 6.19);
			// version 1 has no event for it.
			unix.Poll(nil, 1)
			return err
		}
		// With version 1 a frozen process does not even die.
		thawErr := g.thaw1()
		if left := awaitAll(fds, deadline); left > 0 || thawErr != nil {
			return errors.Join(thawErr, fmt.Errorf("end what is in cgroup %s: %d processes do not end", g.path, left))
		}
	}
}

// killEach sends SIGKILL to the processes that are in the cgroup now, and
// returns their pidfds.
func (g *Group) killEach() (fds []int, err error) {
	pids, err := g.Processes()
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		// Between the list and here the number may have become another process's.
		if now, err := g.Processes(); err != nil || !slices.Contains(now, pid) {
			unix.Close(fd)
			continue
		}
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		fds = append(fds, fd)
	}
	return fds, nil
}

// awaitAll waits for the ends of processes, closes their pidfds and returns how
// many have not ended.
func awaitAll(fds []int, deadline time.Time) (left int) {
	for _, fd := range fds {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(poll, max(0, int(time.Until(deadline).Milliseconds())))
			if err == unix.EINTR {
				continue
			}
			if n == 0 {
				left++
			}
			break
		}
		unix.Close(fd)
	}
	return left
}

// Processes are those in the cgroup, by their process ids. A zombie is in none.
func (g *Group) Processes() ([]int, error) {
	var pids []int
	for _, dir := range g.dirs() {
		text, err := read(dir + "/cgroup.procs")
		if errors.Is(err, os.ErrNotExist) || isErrno(err, unix.ENODEV) { // removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 { // 0: of a pid namespace that we do not see
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Find lists the cgroups, anywhere, whose names begin with prefix.
func (s System) Find(prefix string) (paths []string, err error) {
	roots := []string{s.Root}
	if s.Version == 1 {
		roots = nil
		for _, controller := range s.Controllers() {
			roots = append(roots, s.Root+"/"+controller)
		}
	}
	for _, root := range roots {
		err = errors.Join(err, filepath.WalkDir(root+"/", func(p string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, fs.ErrPermission):
				return nil // removed meanwhile, or nothing of ours
			case err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), prefix):
				return err
			}
			paths = append(paths, strings.TrimPrefix(p, root))
			return fs.SkipDir
		}))
	}
	slices.Sort(paths)
	return slices.Compact(paths), err
}
