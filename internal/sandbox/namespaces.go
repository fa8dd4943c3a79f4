// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// namespaces are those a sandbox can have of its own: the clone flag and the
// option of unshare(1).
var namespaces = map[specs.LinuxNamespaceType]struct {
	flag   uintptr
	option string
}{
	specs.PIDNamespace:     {unix.CLONE_NEWPID, "--pid"},
	specs.MountNamespace:   {unix.CLONE_NEWNS, "--mount"},
	specs.UTSNamespace:     {unix.CLONE_NEWUTS, "--uts"},
	specs.IPCNamespace:     {unix.CLONE_NEWIPC, "--ipc"},
	specs.CgroupNamespace:  {unix.CLONE_NEWCGROUP, "--cgroup"},
	specs.NetworkNamespace: {unix.CLONE_NEWNET, "--net"},
	specs.UserNamespace:    {unix.CLONE_NEWUSER, "--user"},
}

func cloneFlags(s *specs.Spec) uintptr {
	var flags uintptr
	for _, ns := range s.Linux.Namespaces {
		if ns.Path != "" {
			continue
		}
		flags |= namespaces[ns.Type].flag
	}
	return flags
}

// hasNamespace is true of a namespace other than ours: a new one, or another
// process's that is entered. ownsNamespace is true of a new one.
func hasNamespace(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == t })
}

func ownsNamespace(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return cloneFlags(s)&namespaces[t].flag != 0
}

// unshareOptions are the new namespaces in the specification's order.
func unshareOptions(s *specs.Spec) string {
	var options string
	for _, ns := range s.Linux.Namespaces {
		if ns.Path != "" {
			continue
		}
		options += " " + namespaces[ns.Type].option
	}
	return options
}
