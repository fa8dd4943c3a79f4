// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Kill kills the first process of the container called name; of one without a
// readable record and state the process that has its lock, with which the first
// one dies. It returns false if there is none (yet).
func (c *Containers) Kill(name string) (bool, error) {
	id, err := c.Find(name)
	if err != nil {
		return false, err
	}
	e, ok, err := c.entry(id)
	switch {
	case err != nil:
		return c.killDamaged(id)
	case !ok:
		return false, nil
	}
	killed, err := killFirst(e.State)
	if err != nil || !killed {
		return killed, err
	}
	return true, c.killStopped(id, e.State.Pid)
}

// killStopped kills whoever has the container locked and waits for its first
// process, which has been killed, if it is a stopped job: it would not see the end
// and let go.
func (c *Containers) killStopped(id string, first int) error {
	stat, err := linux.ReadStat(first)
	if err != nil {
		return nil // it has been waited for
	}
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := linux.Fstat(int(dir.Fd()))
	if err != nil {
		return err
	}
	_, err = killIf(stat.Parent, func() bool {
		holder, err := linux.ReadStat(stat.Parent)
		return err == nil && holder.State == 'T' && holdsLock(stat.Parent, id, &st)
	})
	return err
}

func (c *Containers) killDamaged(id string) (bool, error) {
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if s, err := trueState(dir, id, true); err == nil && s.Alive() {
		return killFirst(s)
	}
	return killHolder(dir, id)
}

// killFirst looks again when it has a descriptor of the process: its number may
// have gone to another.
func killFirst(s State) (bool, error) {
	if !s.Alive() {
		return false, nil
	}
	return killIf(s.Pid, s.Alive)
}

// killIf kills pid, if what made it the right process still holds.
func killIf(pid int, right func() bool) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return false, nil
	}
	if err != nil {
		return false, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if !right() {
		return false, nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return false, os.NewSyscallError("pidfd_send_signal", err)
	}
	return true, nil
}

// killHolder looks through all processes: nothing on disk says which one it is.
func killHolder(dir *os.File, id string) (bool, error) {
	st, err := linux.Fstat(int(dir.Fd()))
	if err != nil {
		return false, err
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return false, err
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		holds := func() bool { return holdsLock(pid, id, &st) }
		if holds() {
			return killIf(pid, holds)
		}
	}
	return false, nil
}

// holdsLock reports whether the process has the directory of the container id
// open and locked (proc_pid_fdinfo(5), "lock"). The name of what is open comes
// first: to look at the file itself could wait for a filesystem that hangs.
func holdsLock(pid int, id string, dir *unix.Stat_t) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	open, _ := os.ReadDir(proc + "/fd") // none: it is gone, or not ours
	for _, fd := range open {
		name, _ := os.Readlink(proc + "/fd/" + fd.Name())
		if !strings.HasSuffix(name, "/"+id) {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(proc+"/fd/"+fd.Name(), &st); err != nil || st.Dev != dir.Dev || st.Ino != dir.Ino {
			continue
		}
		if hasExclusive(proc + "/fdinfo/" + fd.Name()) {
			return true
		}
	}
	return false
}

func hasExclusive(path string) bool {
	info, _ := os.ReadFile(path)
	for line := range bytes.Lines(info) {
		if bytes.HasPrefix(line, []byte("lock:")) && bytes.Contains(line, []byte("FLOCK")) && bytes.Contains(line, []byte("WRITE")) {
			return true
		}
	}
	return false
}
