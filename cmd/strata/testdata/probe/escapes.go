// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// escapes are the known ways to a file outside the root.
func escapes() []attempt {
	return []attempt{
		{name: "open_by_handle_at", try: byHandle},
		{name: "chroot and climb", try: climb},
		{name: "climb by a descriptor", try: climbDescriptor},
		{name: "/proc/1/root", try: func() string { return outside("/proc/1/root") }},
		{name: "/proc/1/cwd", try: func() string { return outside("/proc/1/cwd") }},
		{name: "/proc/self/root", try: func() string { return outside("/proc/self/root") }},
		{name: "/proc/thread-self/root", try: func() string { return outside("/proc/thread-self/root") }},
	}
}

const up = "/../../../../../../../../../../../.."

// outside is what comes of looking for the host's file above dir.
func outside(dir string) string {
	_, err := os.Stat(dir + up + os.Getenv(canaryEnv))
	if err == nil {
		return "the host's file"
	}
	return word(err)
}

// byHandle is the way of 2014's "shocker": a file by its inode number.
func byHandle() string {
	root := unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0}) // inode 2 of ext4
	at, err := unix.Open("/", unix.O_RDONLY, 0)
	if err != nil {
		return word(err)
	}
	defer unix.Close(at)
	fd, err := unix.OpenByHandleAt(at, root, unix.O_RDONLY)
	unix.Close(fd)
	return word(err)
}

// climb leaves a chroot whose working directory is outside it (chroot(2)).
func climb() string {
	if err := unix.Chroot("/tmp"); err != nil {
		return "chroot: " + word(err)
	}
	if err := unix.Chdir(strings.TrimPrefix(up, "/")); err != nil {
		return "chdir: " + word(err)
	}
	if err := unix.Chroot("."); err != nil {
		return "chroot: " + word(err)
	}
	return outside("")
}

func climbDescriptor() string {
	root, err := os.Open("/")
	if err != nil {
		return word(err)
	}
	defer root.Close()
	if err := root.Chdir(); err != nil {
		return word(err)
	}
	return outside(".")
}
