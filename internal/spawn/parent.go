// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// DieWithParent is the call by which a child is killed when this process ends. A
// change of ids takes that away (prctl(2)); a list that changes them makes the
// call again.
//
// The kernel sends the signal when the thread that made the clone ends, and says
// nothing to a child that asks for it later. So the child looks behind the call
// whether that thread is still there, and stops if it is not: the kernel clears
// the thread's word (exit_mm in kernel/exit.c) before it signals the children
// (exit_notify).
func DieWithParent() Call {
	return Call{Name: "die with the parent", Nr: unix.SYS_PRCTL, Args: [6]uintptr{unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)}, tied: true}
}

// threads are the words of the threads that have cloned a child: not zero while
// one lives. The kernel writes to them whenever it comes to that, so they are
// never freed, and taken again when they are zero.
var threads struct {
	sync.Mutex
	words []*uint32
}

func newThread() *uint32 {
	threads.Lock()
	defer threads.Unlock()
	for _, w := range threads.words {
		if atomic.CompareAndSwapUint32(w, 0, 1) {
			return w
		}
	}
	w := new(uint32)
	*w = 1
	threads.words = append(threads.words, w)
	return w
}
