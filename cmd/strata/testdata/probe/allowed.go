// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowed is what programs in containers need: a sandbox that refuses it is no
// stronger, only less useful.
func allowed() []attempt {
	return []attempt{
		{name: "chroot", try: func() string { return word(unix.Chroot("/tmp")) }},
		{name: "chmod u+s", try: func() string { return onFile(func(path string) error { return unix.Chmod(path, 0o4755) }) }},
		{name: "chown", try: func() string { return onFile(func(path string) error { return unix.Chown(path, 1000, 1000) }) }},
		{name: "ptrace a child", try: traceChild},
		call("landlock", unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1), // LANDLOCK_CREATE_RULESET_VERSION
		call("personality", unix.SYS_PERSONALITY, 0xffffffff),
		{name: "bind port 80", try: bindPort},
		{name: "user.* attributes", try: func() string {
			return onFile(func(path string) error { return unix.Setxattr(path, "user.probe", []byte("x"), 0) })
		}},
		{name: "become another user", try: func() string { return word(unix.Setresuid(1000, 1000, 1000)) }},
		{name: "statx", try: func() string { return word(unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_ALL, new(unix.Statx_t))) }},
	}
}

func onFile(f func(path string) error) string {
	file, err := os.CreateTemp("/tmp", "probe")
	if err != nil {
		return word(err)
	}
	defer os.Remove(file.Name())
	file.Close()
	return word(f(file.Name()))
}

func traceChild() string {
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", "getcwd")
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return word(err)
	}
	err := cmd.Wait() // stopped at its execve
	if _, isExit := err.(*exec.ExitError); !isExit {
		return "not stopped: " + word(err)
	}
	return word(unix.PtraceDetach(cmd.Process.Pid))
}

func bindPort() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return word(err)
	}
	defer unix.Close(fd)
	return word(unix.Bind(fd, &unix.SockaddrInet4{Port: 80}))
}
