// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// refuseAstray ends this program where it is not the file that its own path
// names, which costs two calls of stat.
//
// Until the program of a container is executed, /proc/self/exe is our own
// binary; a container whose command is that name, or a link to it, or a script
// with it as interpreter, executes us inside. Another process in there could
// then open our binary by /proc/PID/exe and wait for the moment when nobody
// executes it and it can be written (CVE-2019-5736). So nothing of the container
// is done: no program of its own runs before this, and none after.
func refuseAstray() {
	path, err := os.Executable()
	if err != nil { // no procfs, and so no such way
		return
	}
	var named, executed unix.Stat_t
	if unix.Stat("/proc/self/exe", &executed) != nil {
		return
	}
	err = unix.Stat(path, &named)
	if err == nil && named.Dev == executed.Dev && named.Ino == executed.Ino {
		return
	}
	fmt.Fprintln(os.Stderr, "strata: not run: "+path+" is another file here; a container cannot execute /proc/self/exe of who starts it")
	os.Exit(126)
}
