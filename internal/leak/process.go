// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processes are those that mention dir.
func processes(dir string) ([]string, error) { return describeAll(owned(dir)) }

func describeAll(pids []int) (texts []string, err error) {
	for _, pid := range pids {
		texts = append(texts, describe(pid))
	}
	return texts, nil
}

func describe(pid int) string {
	line, _ := os.ReadFile(proc(pid, "cmdline"))
	words := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	return fmt.Sprintf("%d (%s)", pid, words)
}

// await waits until each process of dir has ended, those too that one of them
// starts meanwhile, or it is too late.
func await(dir string, deadline time.Time) {
	for {
		pids := owned(dir)
		if len(pids) == 0 || time.Now().After(deadline) {
			return
		}
		for _, pid := range pids {
			awaitOne(pid, deadline)
		}
	}
}

// awaitOne waits by a pidfd, which cannot become another process.
func awaitOne(pid int, deadline time.Time) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for {
		left := max(0, time.Until(deadline))
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err != unix.EINTR {
			return
		}
	}
}

// owned are the processes, this one left out, that mention dir.
func owned(dir string) []int {
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	return filter(func(pid int) bool { return mentions(pid, dir, ours) })
}

// descendants are the processes that this one or one of its own started. With
// Main they stay ours when their parent dies.
func descendants() []int {
	return filter(func(pid int) bool {
		for pid > 1 {
			if pid = parent(pid); pid == os.Getpid() {
				return true
			}
		}
		return false
	})
}

// filter are the live processes other than this that keep accepts.
func filter(keep func(pid int) bool) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		// of the dead there can be hundreds, and who is kept may die meanwhile
		if err == nil && pid != os.Getpid() && !dead(pid) && keep(pid) && !dead(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func proc(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// status is a field of /proc/PID/stat after the name: 0 the state, 1 the parent
// (proc_pid_stat(5)).
func status(pid, field int) string {
	data, err := os.ReadFile(proc(pid, "stat"))
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if err != nil || field >= len(fields) {
		return ""
	}
	return string(fields[field])
}

func parent(pid int) int {
	ppid, _ := strconv.Atoi(status(pid, 1))
	return ppid
}

// dead reports a process that is gone or a zombie, which holds nothing.
func dead(pid int) bool {
	state := status(pid, 0)
	return state == "" || state == "Z" || state == "X"
}

// mentions reports whether pid was started with a path in dir, has one open, or
// has mounts of it. ourMounts is this process's mount namespace: what is
// mounted there is nobody's in particular.
func mentions(pid int, dir, ourMounts string) bool {
	for _, name := range []string{"cmdline", "environ"} {
		if data, err := os.ReadFile(proc(pid, name)); err == nil && names(data, dir) {
			return true
		}
	}
	if ns, err := os.Readlink(proc(pid, "ns/mnt")); err == nil && ns != ourMounts {
		if data, err := os.ReadFile(proc(pid, "mountinfo")); err == nil && names(data, dir) {
			return true
		}
	}
	return len(openBeneath(pid, dir)) > 0
}

// names reports whether text has the path dir, or one in it, and not only one
// that begins with the same letters.
func names(text []byte, dir string) bool {
	for {
		i := bytes.Index(text, []byte(dir))
		if i < 0 {
			return false
		}
		text = text[i+len(dir):]
		if len(text) == 0 || bytes.IndexByte([]byte("/\x00\n ,:'\""), text[0]) >= 0 {
			return true
		}
	}
}

// openBeneath are the files in dir that pid has open or stands in.
func openBeneath(pid int, dir string) (paths []string) {
	links := []string{proc(pid, "cwd"), proc(pid, "root"), proc(pid, "exe")}
	fds, _ := os.ReadDir(proc(pid, "fd"))
	for _, fd := range fds {
		links = append(links, proc(pid, "fd/"+fd.Name()))
	}
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && beneath(path, dir) {
			paths = append(paths, path)
		}
	}
	return paths
}

func beneath(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// networks are the network namespaces that a process of dir is in or this
// process holds, other than its own.
func networks(dir string) (found []string, err error) {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	links := []string{}
	for _, pid := range owned(dir) {
		links = append(links, proc(pid, "ns/net"))
	}
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		links = append(links, more...)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			return found, err
		}
		if strings.HasPrefix(target, "net:[") && target != ours {
			found = append(found, target+" held by "+link)
		}
	}
	return found, nil
}
