// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

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
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
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
	return fmt.Errorf("move processes into cgroup %s: they fork quicker than they can be moved", g.path)
}

// moveTo moves the processes that are not in dir, and reports whether there were
// any.
func (g *Group) moveTo(dir string, pids []int) (moved bool, err error) {
	text, err := read(dir + "/cgroup.procs")
	if err != nil {
		return false, err
	}
	var inside []int
	for line := range strings.Lines(text) {
		pid, _ := strconv.Atoi(strings.TrimSpace(line))
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
		parent, alive := parentOf(pid)
		if !alive { // while its parent is frozen it stays, and is in no cgroup's list
			continue
		}
		parents[pid] = parent
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

// parentOf reads fields of /proc/PID/stat behind the name, which is in
// parentheses and may hold any byte (proc_pid_stat(5)). A zombie is not alive.
func parentOf(pid int) (parent int, alive bool) {
	text, err := read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, true
}
