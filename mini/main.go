// SPDX-License-Identifier: Apache-2.0

// Go's runtime would read the cgroup's processor limit at every start and keep
// its files open; then every command in a container had two descriptors more.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Mini is the userland of Strata's default image: a shell and the usual
// commands in one static program. It runs the command it is called as, or the
// one named by its first argument (`mini ls -l`).
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/mini/internal/command"
	"strata/mini/internal/shell"
)

func main() {
	if os.Getpid() == 1 {
		endOnSignal()
	}
	name := path.Base(os.Args[0])
	args := os.Args[1:]
	if name == "mini" {
		if len(args) == 0 {
			fmt.Println(strings.Join(append(command.Names(), "sh"), "\n"))
			return
		}
		name, args = args[0], args[1:]
	}
	os.Exit(run(name, args))
}

func run(name string, args []string) int {
	if name == "sh" || name == "-sh" {
		return shell.Main(shellName(name), args)
	}
	f := command.Lookup(name)
	if f == nil {
		fmt.Fprintf(os.Stderr, "mini: %s: command not found\n", name)
		return 127
	}
	return command.Run(f, &command.Call{Name: name, Args: args, In: os.Stdin,
		Out: bufio.NewWriterSize(os.Stdout, 32<<10), Err: os.Stderr})
}

// shellName is $0: the name as it was given.
func shellName(name string) string {
	if path.Base(os.Args[0]) == name {
		return os.Args[0]
	}
	return name
}

// endOnSignal makes the first process of a container end at the signals that
// end any other. The kernel ignores them there, and Go's runtime would turn
// them into status 2.
func endOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	go func() {
		sig := <-signals
		os.Exit(128 + int(sig.(unix.Signal)))
	}()
}
