// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forwarding is what the signal handler reads and writes. It is the process's,
// as signal handlers are.
var forwarding struct {
	pidfd      int32  // where signals go, plus one; 0 for nowhere yet
	interrupts uint32 // SIGINT and SIGTERM so far
	pending    uint64 // bit n: signal n came before there was anywhere to go
}

// insist is how many interrupts it takes to kill a process that does not heed
// them, as process 1 of a namespace does not unless it asks for them. The
// handler has it as a constant.
const insist = 3 //lint:ignore U1000 said here once for the assembly of both architectures

// CatchSignals keeps the signals from ending this process. From now on they go
// to the process that ForwardSignals names, at once or when it is named, and the
// third SIGINT or SIGTERM goes as SIGKILL.
//
// It is a handler of a few instructions beside Go's: os/signal takes a thread
// and two switches to it for each signal, half a millisecond at every start. It
// must not be used with os/signal for the same signals.
func CatchSignals(signals ...unix.Signal) error {
	action := sigaction{handler: handlerAddress, flags: saOnStack | saRestart | saRestorer, restorer: restorerAddress, mask: ^uint64(0)}
	for _, s := range signals {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if errno != 0 {
			return os.NewSyscallError("rt_sigaction", errno)
		}
	}
	runtime.KeepAlive(&action)
	return nil
}

// ForwardSignals names the process that caught signals go to. Its Pidfd stays
// open as long as signals may come.
func ForwardSignals(p *Process) {
	atomic.StoreInt32(&forwarding.pidfd, int32(p.Pidfd.Fd())+1)
	pending := atomic.SwapUint64(&forwarding.pending, 0)
	for s := unix.Signal(1); s < 64; s++ {
		if pending&(1<<s) != 0 {
			p.Signal(s) // one that has ended needs none
		}
	}
}

// StopForwarding lets signals that come from now on be kept and not sent.
func StopForwarding() { atomic.StoreInt32(&forwarding.pidfd, 0) }

// sigaction is struct sigaction as rt_sigaction(2) takes it.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const (
	saOnStack  = 0x08000000 // Go's stacks are too small for a signal's frame
	saRestart  = 0x10000000
	saRestorer = 0x04000000
)

var handlerAddress, restorerAddress uintptr // of the assembly
