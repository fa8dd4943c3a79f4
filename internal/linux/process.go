// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Stat is what proc_pid_stat(5) says of a process.
type Stat struct {
	Name     string // at most 15 bytes, any of them
	State    byte
	Parent   int
	Terminal uint32 // device number, 0 for none
	CPU      uint64 // clock ticks spent in user and kernel mode
	Start    uint64 // in clock ticks after boot
}

// TicksPerSecond is USER_HZ, which is 100 on every architecture that Go has
// (proc_pid_stat(5), times(2)).
const TicksPerSecond = 100

// Pids lists the processes that procfs shows.
func Pids() ([]int, error) {
	dir, err := OpenDir("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := ReadDir(int(dir.Fd()))
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: "/proc", Err: err}
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// ReadStat reads the state of the process pid; an error when it is gone.
func ReadStat(pid int) (Stat, error) {
	text, err := readProc("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	s, err := parseStat(text)
	if err != nil {
		return s, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	return s, nil
}

func parseStat(text []byte) (s Stat, err error) {
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return s, fmt.Errorf("it has no name")
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 20 {
		return s, fmt.Errorf("it has %d fields after the name", len(fields))
	}
	s.Name, s.State = string(text[begin+1:end]), fields[0][0]
	var terminal int64
	var user, kernel, parent uint64
	for _, f := range []struct {
		field int // the state is 0
		into  *uint64
	}{{1, &parent}, {11, &user}, {12, &kernel}, {19, &s.Start}} {
		if *f.into, err = strconv.ParseUint(string(fields[f.field]), 10, 64); err != nil {
			return s, err
		}
	}
	terminal, err = strconv.ParseInt(string(fields[4]), 10, 64)
	s.Parent, s.Terminal, s.CPU = int(parent), uint32(terminal), user+kernel
	return s, err
}

// Namespace names the namespace of pid whose file in /proc/PID/ns is kind
// (namespaces(7)); two processes are in the same if theirs are equal.
func Namespace(pid int, kind string) (uint64, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/ns/" + kind
	var st unix.Stat_t
	err := Retry(func() error { return unix.Stat(path, &st) })
	if err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// ParentNamespaces names those that the pid namespace of pid is in, the nearest
// first
// and as far as they are in sight from here (ioctl_ns(2), NS_GET_PARENT).
func ParentNamespaces(pid int) (parents []uint64, err error) {
	path := "/proc/" + strconv.Itoa(pid) + "/ns/pid"
	fd, err := OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for {
		parent, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		unix.Close(fd)
		if err != nil { // EPERM: there is none, or none that we see
			return parents, nil
		}
		st, err := Fstat(parent)
		if err != nil {
			unix.Close(parent)
			return nil, err
		}
		parents, fd = append(parents, st.Ino), parent
	}
}
