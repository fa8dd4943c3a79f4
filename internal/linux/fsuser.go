// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// AsFilesystemUser calls f on a thread that makes files as uid and gid, with all
// the capabilities that it had: setfsuid(2) by itself takes those for files from
// a root that becomes another. Credentials are a thread's own, so f must not hand
// its work to another goroutine. The caller is root.
func AsFilesystemUser(uid, gid uint32, f func() error) error {
	runtime.LockOSThread()
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var ours [2]unix.CapUserData
	if err := unix.Capget(header, &ours[0]); err != nil {
		runtime.UnlockOSThread()
		return os.NewSyscallError("capget", err)
	}
	unix.Setfsgid(int(gid))
	unix.Setfsuid(int(uid))
	err := os.NewSyscallError("capset", unix.Capset(header, &ours[0]))
	if err == nil {
		err = f()
	}
	unix.Setfsuid(0)
	unix.Setfsgid(0)
	if restored := unix.Capset(header, &ours[0]); restored != nil {
		// The thread stays locked, and nobody else will have its credentials.
		return errors.Join(err, os.NewSyscallError("capset", restored))
	}
	runtime.UnlockOSThread()
	return err
}
