// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// processes are other ones and this one's own standing.
func processes() []attempt {
	return []attempt{
		{name: "pidfd_getfd of process 1", try: getfd},
		{name: "a set-uid file", try: setUID},
		call("unset no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 0),
		{name: "capset CAP_SYS_ADMIN", try: raiseCapability},
		{name: "raise the limit of open files", try: raiseLimit},
		{name: "nice -20", try: func() string { return word(unix.Setpriority(unix.PRIO_PROCESS, 0, -20)) }},
		{name: "sched_setscheduler", try: func() string {
			return word(unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0))
		}},
	}
}

func getfd() string {
	pidfd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return "pidfd_open: " + word(err)
	}
	fd, err := unix.PidfdGetfd(pidfd, 0, 0)
	unix.Close(fd)
	return word(err)
}

// setUID becomes an ordinary user and executes a copy of this program that is
// root's and set-uid.
func setUID() string {
	cmd := exec.Command("/set-uid")
	cmd.Args = []string{"euid"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	out, err := cmd.Output()
	if err != nil {
		return word(err)
	}
	return string(out)
}

func raiseCapability() string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return word(err)
	}
	data[0].Permitted |= 1 << unix.CAP_SYS_ADMIN
	data[0].Effective |= 1 << unix.CAP_SYS_ADMIN
	return word(unix.Capset(&header, &data[0]))
}

func raiseLimit() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return word(err)
	}
	limit.Max++
	return word(unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, &limit, nil))
}
