// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Variables by which the test names what is there on the host.
const (
	canaryEnv = "PROBE_CANARY" // absolute path of a file
	hostEnv   = "PROBE_HOST"   // absolute path of a directory with all that is the test's
	diskEnv   = "PROBE_DISK"   // a block device: 8:0
	pidEnv    = "PROBE_PID"    // a process, of the same user where that is possible
	socketEnv = "PROBE_SOCKET" // an abstract unix socket, without its NUL
	portEnv   = "PROBE_PORT"   // a TCP port of 127.0.0.1
	shmEnv    = "PROBE_SHM"    // key of a System V shared memory segment
)

// ofTheHost are things that the test has made for this.
func ofTheHost() []attempt {
	pid, _ := strconv.Atoi(os.Getenv(pidEnv))
	return []attempt{
		{name: "signal a process of the host", try: func() string { return word(unix.Kill(pid, 0)) }},
		{name: "ptrace a process of the host", try: func() string { return raw(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0) }},
		{name: "pidfd of a process of the host", try: func() string {
			fd, err := unix.PidfdOpen(pid, 0)
			unix.Close(fd)
			return word(err)
		}},
		{name: "process_vm_readv of a process of the host", try: func() string { return readMemory(pid) }},
		{name: "abstract socket of the host", try: func() string {
			return connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: "@" + os.Getenv(socketEnv)})
		}},
		{name: "TCP port of the host", try: func() string {
			port, _ := strconv.Atoi(os.Getenv(portEnv))
			return connect(unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}},
		{name: "shared memory of the host", try: func() string {
			key, _ := strconv.Atoi(os.Getenv(shmEnv))
			_, err := unix.SysvShmGet(key, 0, 0)
			return word(err)
		}},
		{name: "paths of the host in mountinfo", try: hostPaths},
		{name: "paths of the host in the environment", first: true, try: hostVariables},
	}
}

func readMemory(pid int) string {
	buffer := make([]byte, 1)
	local := []unix.Iovec{{Base: &buffer[0], Len: 1}}
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 0x400000, Len: 1}}, 0)
	return word(err)
}

func connect(domain int, to unix.Sockaddr) string {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM, 0)
	if err != nil {
		return word(err)
	}
	defer unix.Close(fd)
	return word(unix.Connect(fd, to))
}

// hostPaths are the mount points of lines that name what is the test's, or
// "none". Two ways no runtime can close are left out: a bind mount, here the
// volume, has the path of its source as its fourth field, and an overlay names its
// directories in its options, the last field (proc_pid_mountinfo(5)).
func hostPaths() string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return word(err)
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[4] == "/volume" {
			continue
		}
		if n := len(fields); n > 4 && strings.Contains(line, " - overlay ") {
			line = strings.Join(fields[:n-1], " ")
		}
		if strings.Contains(line, os.Getenv(hostEnv)) {
			found = append(found, fields[4])
		}
	}
	if found == nil {
		return "none"
	}
	return strings.Join(found, " ")
}

// hostVariables are names of variables, those of the probe's own left out.
func hostVariables() string {
	var found []string
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "PROBE_") && strings.Contains(value, os.Getenv(hostEnv)) {
			found = append(found, name)
		}
	}
	if found == nil {
		return "none"
	}
	return strings.Join(found, " ")
}
