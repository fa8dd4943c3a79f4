// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/container"
)

// isolate makes of the usual beginning of a specification the one that was asked for.
func isolate(spec *specs.Spec, r *container.Record) {
	i := &r.Host.Isolation
	spec.Domainname = i.Domainname
	if i.UTSMode == "host" || container.Joined(i.UTSMode) != "" {
		spec.Hostname, spec.Domainname = "", "" // they are another's
	}
	if i.Privileged {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = nil, nil
		exchange(spec.Mounts, "/dev", "nodev", "")
		exchange(spec.Mounts, "/sys", "ro", "rw")
	}
	if i.ShmSize > 0 {
		exchange(spec.Mounts, "/dev/shm", "size=65536k", "size="+strconv.FormatInt(i.ShmSize, 10))
	}
	if i.IpcMode == "none" || i.IpcMode == "host" || container.Joined(i.IpcMode) != "" {
		spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev/shm" })
	}
}

// exchange replaces one option of the mount on dest.
func exchange(mounts []specs.Mount, dest, from, to string) {
	for n, m := range mounts {
		if m.Destination != dest {
			continue
		}
		options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == from })
		if to != "" {
			options = append(options, to)
		}
		mounts[n].Options = options
	}
}

// isolateProcess adds what was asked for that the beginning of a child does not
// need.
func (e *Engine) isolateProcess(spec *specs.Spec, r *container.Record) error {
	i := &r.Host.Isolation
	set, err := capabilities(r)
	if err != nil {
		return err
	}
	caps := &specs.LinuxCapabilities{Bounding: set}
	if spec.Process.User.UID == 0 { // another user has none, and no way to any (CVE-2022-24769)
		caps.Effective, caps.Permitted = set, set
	}
	spec.Process.Capabilities = caps
	spec.Process.NoNewPrivileges = i.NoNewPrivileges || !i.Privileged && !i.NewPrivileges
	for _, u := range i.Ulimits {
		spec.Process.Rlimits = append(spec.Process.Rlimits, specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(u.Name), Soft: unlimited(u.Soft), Hard: unlimited(u.Hard),
		})
	}
	if i.OomScoreAdj != 0 {
		spec.Process.OOMScoreAdj = &i.OomScoreAdj
	}
	return nil
}

// firstSpec is spec for the first process of a container, which brings along what
// those that enter later find there.
func (e *Engine) firstSpec(r *container.Record, u user) (*specs.Spec, error) {
	spec, err := e.spec(r, u)
	if err != nil {
		return nil, err
	}
	spec.Linux.Sysctl = r.Host.Sysctls
	if spec.Linux.Devices, err = hostDevices(&r.Host.Isolation); err != nil {
		return nil, err
	}
	return spec, e.useCgroup(spec, r)
}

func unlimited(n int64) uint64 {
	if n < 0 {
		return math.MaxUint64
	}
	return uint64(n)
}

// isolatedNamespaces are those of a container: its own, another container's, or
// none, which is the host's. For a process that enters it when it runs, all that
// are not the host's are its own.
func isolatedNamespaces(r *container.Record) []specs.LinuxNamespace {
	i := &r.Host.Isolation
	all := []struct {
		kind specs.LinuxNamespaceType
		file string // in /proc/PID/ns
		mode string
	}{
		{specs.PIDNamespace, "pid", i.PidMode}, {specs.MountNamespace, "mnt", ""}, {specs.UTSNamespace, "uts", i.UTSMode},
		{specs.IPCNamespace, "ipc", i.IpcMode}, {specs.CgroupNamespace, "cgroup", ""}, {specs.NetworkNamespace, "net", r.Host.Network},
	}
	var spaces []specs.LinuxNamespace
	for _, ns := range all {
		switch id := container.Joined(ns.mode); {
		case ns.mode == "host":
		case id != "" && r.Joined != nil:
			spaces = append(spaces, specs.LinuxNamespace{Type: ns.kind, Path: r.Joined[id] + "/" + ns.file})
		default:
			spaces = append(spaces, specs.LinuxNamespace{Type: ns.kind})
		}
	}
	return spaces
}

// sharedMemory is the /dev/shm that belongs to an ipc namespace of another's:
// POSIX shared memory is files (shm_overview(7)).
func sharedMemory(r *container.Record) []specs.Mount {
	m := specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"bind", "nosuid", "nodev", "noexec"}}
	id := container.Joined(r.Host.IpcMode)
	switch {
	case id != "":
		m.Source = r.Joined[id] + "/../root/dev/shm"
	case r.Host.IpcMode != "host":
		return nil
	}
	return []specs.Mount{m}
}
