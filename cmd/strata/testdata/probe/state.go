// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// state is what the first process is given.
func state() []attempt {
	all := []attempt{
		{name: "descriptors", first: true, try: descriptors},
		{name: "chdir /proc/self/fd/3 to 63", first: true, try: directoriesOfDescriptors},
		{name: "processes", first: true, try: listed("/proc", isNumber)},
		{name: "session leader", first: true, try: session},
		{name: "signals ignored", first: true, try: status("SigIgn")},
		{name: "signals blocked", first: true, try: status("SigBlk")},
		{name: "/dev", first: true, try: listed("/dev", nil)},
		{name: "/dev/shm", first: true, try: listed("/dev/shm", nil)},
		{name: "/dev/mqueue", first: true, try: listed("/dev/mqueue", nil)},
		{name: "getcwd", first: true, try: workingDirectory},
		{name: "interfaces", first: true, try: listed("/sys/class/net", nil)},
	}
	for _, field := range []string{"NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		all = append(all, attempt{name: field, first: true, try: status(field)})
	}
	return all
}

func descriptors() string {
	var open []string
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, strconv.Itoa(fd))
		}
	}
	return strings.Join(open, " ")
}

// directoriesOfDescriptors is the way of CVE-2024-21626.
func directoriesOfDescriptors() string {
	for fd := 3; fd < 64; fd++ {
		if err := os.Chdir("/proc/self/fd/" + strconv.Itoa(fd)); err == nil || word(err) != "ENOENT" {
			return strconv.Itoa(fd) + " " + word(err)
		}
	}
	return "ENOENT"
}

func isNumber(name string) bool {
	_, err := strconv.Atoi(name)
	return err == nil
}

// listed are the names in a directory, "empty" for none.
func listed(dir string, keep func(string) bool) func() string {
	return func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return word(err)
		}
		var names []string
		for _, e := range entries {
			if keep == nil || keep(e.Name()) {
				names = append(names, e.Name())
			}
		}
		if len(names) == 0 {
			return "empty"
		}
		return strings.Join(names, " ")
	}
}

func session() string {
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		return "session " + strconv.Itoa(sid)
	}
	return "yes"
}

// status is a field of /proc/self/status (proc_pid_status(5)).
func status(field string) func() string {
	return func() string {
		data, err := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, field+":"); ok {
				return strings.TrimSpace(value)
			}
		}
		return word(err)
	}
}

func workingDirectory() string {
	dir, err := unix.Getwd()
	if err != nil {
		return word(err)
	}
	return dir
}
