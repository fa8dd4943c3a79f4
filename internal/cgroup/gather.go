// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Gather moves the process first and all that belong to it into the cgroup's
// directories of controllers: those in its pid namespace, if that is not ours,
// and their descendants. It looks until there is none left outside, since a
// process that is not moved yet may fork meanwhile.
func (g *Group) Gather(first int, controllers ...string) error {
	if g.system.Version == 2 {
		controllers = []string{""}
	}
	for {
		members, err := family(first)
		if err != nil {
			return err
		}
		moved := false
		for _, controller := range controllers {
			some, err := g.moveTo(g.dirOf(controller), members)
			if err != nil {
				return err
			}
			moved = moved || some
		}
		if !moved {
			return nil
		}
	}
}

// moveTo moves the processes that are not in dir, and reports whether there were
// any.
func (g *Group) moveTo(dir string, pids []int) (moved bool, err error) {
	text, err := read(dir + "/cgroup.procs")
	if err != nil {
		return false, err
	}
	var inside []int
	for line := range bytes.Lines([]byte(text)) {
		pid, _ := strconv.Atoi(string(bytes.TrimSpace(line)))
		inside = append(inside, pid)
	}
	for _, pid := range pids {
		if slices.Contains(inside, pid) {
			continue
		}
		err := write(dir+"/cgroup.procs", strconv.Itoa(pid))
		if isErrno(err, unix.ESRCH) { // it has ended
			continue
		}
		if err != nil {
			return moved, &Error{Op: "move a process into cgroup " + dir, Errno: cause(err), Hint: addHint(err)}
		}
		moved = true
	}
	return moved, nil
}

// family are first, the processes of its pid namespace and their descendants, in
// namespaces further down for example.
func family(first int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	ours, theirs := pidNamespace(os.Getpid()), pidNamespace(first)
	parents, members := map[int]int{}, map[int]bool{first: true}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		parents[pid] = parentOf(pid)
		if theirs != ours && theirs != "" && pidNamespace(pid) == theirs {
			members[pid] = true
		}
	}
	for found := true; found; {
		found = false
		for pid, parent := range parents {
			if members[parent] && !members[pid] {
				members[pid], found = true, true
			}
		}
	}
	var pids []int
	for pid := range members {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

func pidNamespace(pid int) string {
	ns, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if err != nil {
		return ""
	}
	return ns
}

// parentOf is a field of /proc/PID/stat behind the name, which is in
// parentheses and may hold any byte (proc_pid_stat(5)). 0 for none.
func parentOf(pid int) int {
	text, err := read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0
	}
	fields := bytes.Fields([]byte(text)[bytes.LastIndexByte([]byte(text), ')')+1:])
	if len(fields) < 2 || string(fields[0]) == "Z" {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}
