// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// files of the kernel and devices of the machine.
func files() []attempt {
	var all []attempt
	for _, path := range []string{
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/sys/power/state",
	} {
		all = append(all, attempt{name: "write " + path, try: func() string { return openFor(path, unix.O_WRONLY) }})
	}
	for _, path := range []string{
		"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/acpi", "/proc/scsi", "/sys/firmware",
		"/sys/kernel/debug", "/sys/kernel/security",
	} {
		all = append(all, attempt{name: "read " + path, try: func() string { return content(path) }})
	}
	return append(all,
		attempt{name: "release_agent", try: releaseAgent},
		attempt{name: "make a cgroup", try: func() string { return made(unix.Mkdir("/sys/fs/cgroup/probe", 0o755), "/sys/fs/cgroup/probe") }},
		attempt{name: "mknod in /tmp", try: func() string { return node("/tmp/node") }},
		attempt{name: "mknod in /dev", try: func() string { return node("/dev/node") }},
		attempt{name: "mknod in a volume", try: func() string { return node("/volume/node") }},
		attempt{name: "mknod in /dev/shm", try: func() string { return node("/dev/shm/node") }},
		attempt{name: "a device node of the image", try: func() string { return openFor("/image-node", unix.O_RDONLY) }},
		attempt{name: "open /dev/mem", try: func() string { return openFor("/dev/mem", unix.O_RDONLY) }},
		attempt{name: "open /dev/kmsg", try: func() string { return openFor("/dev/kmsg", unix.O_RDONLY) }},
		attempt{name: "setxattr trusted", try: func() string { return word(unix.Setxattr("/tmp", "trusted.probe", []byte("x"), 0)) }},
		attempt{name: "make a file immutable", try: immutable},
		attempt{name: "write /proc/1/exe", try: func() string { return openFor("/proc/1/exe", unix.O_WRONLY) }},
		attempt{name: "write /proc/self/exe", try: func() string { return openFor("/proc/self/exe", unix.O_WRONLY) }},
		attempt{name: "truncate /proc/self/exe", try: func() string { return word(unix.Truncate("/proc/self/exe", 0)) }},
		attempt{name: "lower oom_score_adj", try: func() string {
			return word(os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0))
		}},
	)
}

// openFor opens what is there and writes nothing.
func openFor(path string, flags int) string {
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	unix.Close(fd)
	return word(err)
}

// content is "empty", or "readable" where there is something to read.
func content(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return listed(path, nil)()
	}
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return word(err)
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, make([]byte, 1))
	switch {
	case err != nil:
		return word(err)
	case n == 0:
		return "empty"
	}
	return "readable"
}

// releaseAgent looks for the file of CVE-2022-0492 and for one that can be
// written.
func releaseAgent() string {
	found := "none"
	filepath.WalkDir("/sys/fs/cgroup", func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "release_agent" {
			found = openFor(path, unix.O_WRONLY)
		}
		return nil
	})
	return found
}

func made(err error, path string) string {
	if err == nil {
		os.Remove(path)
	}
	return word(err)
}

// node makes a node of the host's disk and opens it.
func node(path string) string {
	major, minor, _ := strings.Cut(os.Getenv(diskEnv), ":")
	a, _ := strconv.ParseUint(major, 10, 32)
	b, _ := strconv.ParseUint(minor, 10, 32)
	if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(uint32(a), uint32(b)))); err != nil {
		return "mknod: " + word(err)
	}
	defer os.Remove(path)
	return "open: " + openFor(path, unix.O_RDONLY)
}

func immutable() string {
	f, err := os.CreateTemp("/tmp", "immutable")
	if err != nil {
		return word(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return word(unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, unix.STATX_ATTR_IMMUTABLE))
}
