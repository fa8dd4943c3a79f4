// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

var kinds = []struct {
	name string
	flag uintptr
}{
	{"user", unix.CLONE_NEWUSER}, {"mnt", unix.CLONE_NEWNS}, {"pid", unix.CLONE_NEWPID}, {"net", unix.CLONE_NEWNET},
	{"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"cgroup", unix.CLONE_NEWCGROUP}, {"time", unix.CLONE_NEWTIME},
}

// namespaces are the doors to capabilities over a larger part of the kernel:
// most of its holes of the last years need one of them.
func namespaces() []attempt {
	var all []attempt
	for _, k := range kinds {
		all = append(all,
			call("unshare "+k.name, unix.SYS_UNSHARE, k.flag),
			attempt{name: "setns " + k.name, try: func() string { return join("/proc/1/ns/"+k.name, k.flag) }},
		)
	}
	return append(all,
		attempt{name: "clone a user namespace", try: cloneUser},
		call("clone3", unix.SYS_CLONE3, 0, 0), // EINVAL without a filter
	)
}

func join(path string, kind uintptr) string {
	f, err := os.Open(path)
	if err != nil {
		return "open: " + word(err)
	}
	defer f.Close()
	return raw(unix.SYS_SETNS, f.Fd(), kind)
}

func cloneUser() string {
	cmd := exec.Command("/proc/self/exe", "getcwd")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return word(cmd.Run())
}
