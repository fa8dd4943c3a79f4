// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenFiles is the limit on open files that this process was started with. Go
// raises the soft one for itself, puts it back for what os/exec starts
// (syscall/rlimit.go), and tells nobody what it was; who starts programs another
// way has to put it back too. A program for select(2) or one that closes all
// descriptors that there may be would suffer.
//
// It is seen after syscall.Exec has put it back and has found nothing to execute.
var OpenFiles = sync.OnceValue(func() unix.Rlimit {
	var raised, own unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &raised) // of ourselves: none of these fails
	syscall.Exec("", nil, nil)
	unix.Getrlimit(unix.RLIMIT_NOFILE, &own)
	if own != raised {
		unix.Setrlimit(unix.RLIMIT_NOFILE, &raised)
	}
	return own
})
