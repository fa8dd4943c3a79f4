// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ipcSysctls are the settings of an ipc namespace (ipc_namespaces(7)).
var ipcSysctls = []string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
}

// SysctlNamespace is the kind of namespace that a setting of the kernel belongs
// to, "" for one that all of the machine shares. Names are as sysctl(8) takes
// them, with dots or slashes.
func SysctlNamespace(name string) specs.LinuxNamespaceType {
	switch path := sysctlPath(name); {
	case slices.Contains(strings.Split(path, "/"), ".."), strings.Contains(path, "//"), strings.HasSuffix(path, "/"), strings.ContainsRune(path, 0):
		return ""
	case slices.Contains(ipcSysctls, path), strings.HasPrefix(path, "fs/mqueue/"):
		return specs.IPCNamespace
	case strings.HasPrefix(path, "net/"):
		return specs.NetworkNamespace
	case path == "kernel/domainname":
		return specs.UTSNamespace
	}
	return ""
}

// sysctlPath is the file beneath /proc/sys. The separator is whatever comes
// first; the other one stands for it in names, of interfaces for example (sysctl(8)).
func sysctlPath(name string) string {
	at := strings.IndexAny(name, "./")
	if at < 0 || name[at] == '/' {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// checkSysctl refuses what would change the host, or another's namespace.
func checkSysctl(s *specs.Spec) error {
	for _, name := range slices.Sorted(maps.Keys(s.Linux.Sysctl)) {
		kind := SysctlNamespace(name)
		if kind == "" || !hasNamespace(s, kind) || isOurs(s, kind) || strings.ContainsRune(s.Linux.Sysctl[name], 0) {
			return &UnsupportedError{Field: "linux.sysctl", Value: name}
		}
		if kind == specs.UTSNamespace && s.Domainname != "" {
			return &UnsupportedError{Field: "linux.sysctl", Value: name + " beside domainname"}
		}
		if !mountsProc(s) {
			return &UnsupportedError{Field: "linux.sysctl", Value: "without a mount of /proc"}
		}
	}
	return nil
}

func mountsProc(s *specs.Spec) bool {
	return slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/proc" })
}

// sysctlSteps write to the sandbox's own procfs while /proc/sys can be written
// and nothing covers it (CVE-2025-52881).
func sysctlSteps(s *specs.Spec) []step {
	var steps []step
	for _, name := range slices.Sorted(maps.Keys(s.Linux.Sysctl)) {
		path, value := "proc/sys/"+sysctlPath(name), s.Linux.Sysctl[name]
		steps = append(steps, step{
			lines: line("echo "+Quote(value)+" > "+path, "a setting of this namespace only"),
			prepare: func(p *preparation) error {
				p.writeFile("set sysctl "+name, path, value)
				return nil
			},
		})
	}
	return steps
}
