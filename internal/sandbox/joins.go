// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/spawn"
)

// joined are the namespaces of s that exist already, and that the process is to
// enter.
func joined(s *specs.Spec) []specs.LinuxNamespace {
	var there []specs.LinuxNamespace
	for _, ns := range s.Linux.Namespaces {
		if ns.Path != "" {
			there = append(there, ns)
		}
	}
	return there
}

// joinNamespaces adds the calls by which a child enters namespaces that exist.
// The child opens them itself: their paths are the host's, whose mounts it has
// yet, and no descriptor of ours must wait for it. The kernel checks the kind
// (setns(2)). A pid namespace can only be entered before the clone, by pidNamespace.
func joinNamespaces(first *spawn.List, s *specs.Spec) {
	for _, ns := range joined(s) {
		if ns.Type == specs.PIDNamespace {
			continue
		}
		name := string(ns.Type) + " namespace " + ns.Path
		open := newCall("open "+name, unix.SYS_OPENAT, cwd, first.String(ns.Path), unix.O_RDONLY|unix.O_CLOEXEC)
		open.Save = true
		enter := newCall("enter "+name, unix.SYS_SETNS, 0, namespaces[ns.Type].flag)
		enter.Saved = true
		first.Add(open, enter, closeSaved("close "+name))
	}
}

// pidNamespace opens the pid namespace that is to be entered, nil for none. The
// caller closes it.
func pidNamespace(s *specs.Spec) (*os.File, error) {
	for _, ns := range joined(s) {
		if ns.Type != specs.PIDNamespace {
			continue
		}
		fd, err := linux.OpenAt(unix.AT_FDCWD, ns.Path, unix.O_RDONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("open pid namespace %s: %w", ns.Path, err)
		}
		return os.NewFile(uintptr(fd), ns.Path), nil
	}
	return nil, nil
}

// begin starts the child, in the pid namespace that it is to enter if there is
// one. Whoever is in that sees a child with our memory (CVE-2019-5736).
func (c *Child) begin(first *spawn.List, flags uintptr) error {
	pid, err := pidNamespace(c.spec)
	if err != nil {
		return err
	}
	if pid != nil {
		defer pid.Close()
		if c.show, err = hide(); err != nil {
			return err
		}
	}
	if c.Child, err = spawn.Begin(first, spawn.Options{Namespaces: flags, PidNamespace: pid, Cgroup: c.cgroupFile()}); err != nil || pid == nil {
		return err
	}
	if _, err := c.Process(); err != nil { // the namespace stays open until the clone is made
		return c.Child.Abandon() // with the same error
	}
	return nil
}

// joinable are the kinds of namespace that a process can enter by their path. Of
// a mount namespace there would be no root left to make.
func joinable(ns specs.LinuxNamespace) bool {
	switch ns.Type {
	case specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace:
		return path.IsAbs(ns.Path)
	}
	return false
}

// nsenter is what a person types before unshare(1) to enter namespaces.
func nsenter(s *specs.Spec) string {
	var options string
	for _, ns := range joined(s) {
		options += " " + namespaces[ns.Type].option + "=" + Quote(ns.Path)
	}
	if options == "" {
		return ""
	}
	return "nsenter" + options + " "
}

// cloneSource clones what a bind mount shows. A path of another process's files,
// /proc/PID/root/PATH (proc_pid_root(5)), is found in its mount namespace.
func cloneSource(source string, recursive bool) (*os.File, error) {
	process, inside, found := strings.Cut(source, "/root/")
	if !found || !strings.HasPrefix(process, "/proc/") {
		return mount.Clone(source, recursive)
	}
	fd, err := linux.OpenAt(unix.AT_FDCWD, process+"/ns/mnt", unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: process + "/ns/mnt", Err: err}
	}
	ns := os.NewFile(uintptr(fd), process+"/ns/mnt")
	defer ns.Close()
	return mount.CloneIn(ns, inside, recursive)
}

// isOurs reports whether the namespace of this kind that s asks for by its path
// is the one that we are in, which is nobody's to change for a sandbox.
func isOurs(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	for _, ns := range joined(s) {
		if ns.Type != kind {
			continue
		}
		var there, here unix.Stat_t
		if unix.Stat(ns.Path, &there) != nil || unix.Stat("/proc/self/ns/"+fileOf(kind), &here) != nil {
			return true // it cannot be known
		}
		return there.Dev == here.Dev && there.Ino == here.Ino
	}
	return false
}

// fileOf is the name in /proc/PID/ns of a kind that has settings.
func fileOf(kind specs.LinuxNamespaceType) string {
	if kind == specs.NetworkNamespace {
		return "net"
	}
	return string(kind)
}
