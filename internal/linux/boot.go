// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// BootID names the current boot of the kernel (random(4), boot_id). It is ""
// where procfs is not mounted.
var BootID = sync.OnceValue(func() string {
	id, err := readProc("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// readProc reads a small file of procfs, without the poller that os.ReadFile
// would start for it.
func readProc(path string) ([]byte, error) {
	fd, err := OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := FD(fd).Read(buf)
	return buf[:n], err
}

// StartTicks is when the process pid started, in clock ticks after boot
// (proc_pid_stat(5), field 22). With the process id it names a process for as
// long as the kernel runs.
func StartTicks(pid int) (uint64, error) {
	stat, err := readProc("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, field 2, is in parentheses and may hold any byte.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
