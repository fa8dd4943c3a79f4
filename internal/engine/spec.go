// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/container"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// defaultCapabilities are Docker's (moby, oci/caps/defaults.go).
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// maskedPaths and readonlyPaths are Docker's (moby, oci/defaults.go).
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// beginning is the part of a container's specification that its image has no
// say in.
func beginning(r *container.Record) *specs.Spec {
	spec := &specs.Spec{
		Version:  specs.Version,
		Hostname: r.Host.Hostname,
		Root:     &specs.Root{Path: "rootfs", Readonly: r.Host.ReadOnly},
		Linux: &specs.Linux{
			Namespaces:    isolatedNamespaces(r),
			MaskedPaths:   maskedPaths,
			ReadonlyPaths: readonlyPaths,
		},
		Mounts: kernelMounts(),
	}
	isolate(spec, r)
	return spec
}

// spec is the runtime specification of a container, for the user u in its image.
func (e *Engine) spec(r *container.Record, u user) (*specs.Spec, error) {
	spec := beginning(r)
	spec.Process = process(r, u)
	spec.Mounts = append(spec.Mounts, e.mounts(r)...)
	e.ids.adapt(spec)
	return spec, e.isolateProcess(spec, r)
}

func process(r *container.Record, u user) *specs.Process {
	dir := r.Config.WorkingDir
	if dir == "" {
		dir = "/"
	}
	return &specs.Process{
		Args:     append(append([]string(nil), r.Config.Entrypoint...), r.Config.Cmd...),
		Env:      environment(r, u),
		Cwd:      path.Join("/", dir),
		Terminal: r.Host.Terminal,
		// with the group itself, or a process could drop it and with it what it denies (CVE-2022-36109)
		User: specs.User{UID: u.uid, GID: u.gid, AdditionalGids: append([]uint32{u.gid}, u.groups...)},
	}
}

// environment begins with what Docker sets, so that the image and the command
// line can replace it.
func environment(r *container.Record, u user) []string {
	env := []string{defaultPath, "HOSTNAME=" + r.Host.Hostname}
	if r.Host.Terminal {
		env = append(env, "TERM=xterm")
	}
	return mergeEnv(append(env, "HOME="+u.home), r.Config.Env)
}

// kernelMounts are Docker's.
func kernelMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	}
}

// mounts are what was asked for beside those.
func (e *Engine) mounts(r *container.Record) []specs.Mount {
	var mounts []specs.Mount
	if r.Host.Network == "host" {
		mounts = append(mounts, hostFiles("/etc/resolv.conf", "/etc/hosts")...)
	}
	mounts = append(mounts, sharedMemory(r)...)
	for _, m := range r.Host.Mounts {
		options := m.Options
		if !r.Host.Privileged {
			options = append([]string{"nodev"}, options...) // no device cgroup stands behind mknod yet
		}
		if m.Type == "bind" && r.Host.UserNS == container.UserNSAuto {
			options = append(options, "idmap")
		}
		mounts = append(mounts, specs.Mount{Destination: m.Target, Type: m.Type, Source: m.Source, Options: options})
	}
	return append(mounts, e.hideStore(r)...)
}

// hostFiles shows files of the host, read-only, that name resolution needs.
func hostFiles(paths ...string) []specs.Mount {
	var mounts []specs.Mount
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			mounts = append(mounts, specs.Mount{Destination: p, Type: "bind", Source: p, Options: []string{"rbind", "ro"}})
		}
	}
	return mounts
}

// hideStore covers the store where the rootfs is a directory above it: a
// container must not see other containers' files, nor its own upperdir.
func (e *Engine) hideStore(r *container.Record) []specs.Mount {
	if r.Rootfs == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(e.root)
	if err != nil {
		return nil
	}
	inside, ok := strings.CutPrefix(real, strings.TrimSuffix(r.Rootfs, "/")+"/")
	if !ok {
		return nil
	}
	return []specs.Mount{{Destination: "/" + inside, Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "nosuid", "nodev", "noexec", "mode=700", "nr_inodes=1"}}}
}
