// SPDX-License-Identifier: Apache-2.0

// What Go opens for the cgroup's share of processors would be a descriptor that
// the sandbox did not leave.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command probe tries, inside a container, what nobody inside may do, and some
// things that anybody may. It prints one line for each attempt: its name, a tab,
// and the name of the error, "ok", or what was found.
//
// An attempt that a weak sandbox lets through must not harm the host: its
// arguments are wrong in a way that the kernel looks at only after it has looked
// at the privilege, or it sets what is already so.
//
// What is to be looked for of the host comes in variables, see host.go.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// An attempt is tried in a process of its own, so that none changes what the
// next one meets; those of the first process see what the sandbox gave it.
type attempt struct {
	name  string
	first bool
	try   func() string
}

func attempts() []attempt {
	groups := [][]attempt{
		state(), terminal(), namespaces(), mounts(), kernel(), sockets(), files(), processes(), escapes(), ofTheHost(), allowed(),
	}
	var all []attempt
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func main() {
	switch {
	case os.Args[0] == "euid": // by the attempt with a set-uid file
		fmt.Print("euid ", os.Geteuid())
	case len(os.Args) == 2 && os.Args[1] == "overwrite":
		fmt.Print(overwrite())
	case len(os.Args) == 2 && os.Args[1] == "watch":
		watch()
	case len(os.Args) == 2:
		one(os.Args[1])
	default:
		everything()
	}
}

func one(name string) {
	for _, a := range attempts() {
		if a.name == name {
			fmt.Print(a.try())
			return
		}
	}
	fmt.Print("there is no such attempt")
}

// everything tries first what the first process has, before it has anything of
// its own.
func everything() {
	all := attempts()
	found := map[string]string{}
	for _, a := range all {
		if a.first {
			found[a.name] = a.try()
		}
	}
	for _, a := range all {
		result, done := found[a.name]
		if !done {
			result = apart(a.name)
		}
		fmt.Printf("%s\t%s\n", a.name, result)
	}
}

// apart makes an attempt in a process of its own.
func apart(name string) string {
	cmd := exec.Command("/proc/self/exe", name)
	out, err := cmd.Output()
	if err != nil {
		return word(err)
	}
	return string(out)
}

// word is the name of an error, or "ok".
func word(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// call is an attempt of one system call.
func call(name string, nr uintptr, args ...uintptr) attempt {
	return attempt{name: name, try: func() string { return raw(nr, args...) }}
}

func raw(nr uintptr, args ...uintptr) string {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return word(errno)
	}
	return "ok"
}

// none is a descriptor that is not open: a call that looks at it first says EBADF.
const none = ^uintptr(0)
