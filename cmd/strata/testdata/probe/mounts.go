// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mounts would change what is seen where, and uncover what is masked.
func mounts() []attempt {
	return []attempt{
		{name: "mount a tmpfs", try: func() string { return word(unix.Mount("none", "/tmp", "tmpfs", 0, "")) }},
		{name: "mount a bind", try: func() string { return word(unix.Mount("/", "/tmp", "", unix.MS_BIND, "")) }},
		{name: "mount a procfs", try: func() string { return word(unix.Mount("proc", "/tmp", "proc", 0, "")) }},
		{name: "mount a cgroup v1", try: func() string { return word(unix.Mount("cgroup", "/tmp", "cgroup", 0, "none,name=probe")) }},
		{name: "mount a cgroup v2", try: func() string { return word(unix.Mount("cgroup2", "/tmp", "cgroup2", 0, "")) }},
		{name: "remount /proc/sys", try: func() string {
			return word(unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
		}},
		{name: "make / shared", try: func() string { return word(unix.Mount("", "/", "", unix.MS_SHARED, "")) }},
		{name: "umount /proc/kcore", try: func() string { return word(unix.Unmount("/proc/kcore", unix.MNT_DETACH)) }},
		{name: "umount /", try: func() string { return word(unix.Unmount("/", unix.MNT_DETACH)) }},
		{name: "pivot_root", try: func() string { return word(unix.PivotRoot("/", "/")) }},
		{name: "fsopen", try: func() string { return rawPath(unix.SYS_FSOPEN, "tmpfs") }},
		call("fsconfig", unix.SYS_FSCONFIG, none, 0),
		call("fsmount", unix.SYS_FSMOUNT, none),
		{name: "fspick", try: func() string { return rawPath(unix.SYS_FSPICK, "/", unix.AT_FDCWD) }},
		{name: "open_tree", try: func() string {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
			unix.Close(fd)
			return word(err)
		}},
		{name: "move_mount", try: func() string {
			return word(unix.MoveMount(unix.AT_FDCWD, "/proc", unix.AT_FDCWD, "/tmp", 0))
		}},
		{name: "mount_setattr", try: func() string {
			return word(unix.MountSetattr(unix.AT_FDCWD, "/proc/sys", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
		}},
	}
}

// rawPath is a call whose last argument but a zero is a path; before has those
// in front of it.
func rawPath(nr uintptr, path string, before ...int) string {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return word(err)
	}
	var args []uintptr
	for _, b := range before {
		args = append(args, uintptr(b))
	}
	result := raw(nr, append(args, uintptr(unsafe.Pointer(p)))...)
	runtime.KeepAlive(p)
	return result
}
