// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// KernelLog runs f and returns the lines that the kernel logged meanwhile and
// that begin with prefix, joined by "; ". Filesystems explain many a refused
// mount only there, as "overlayfs: …". It is a help for people: another mount's
// lines may be among them, and without CAP_SYSLOG there are none.
func KernelLog(prefix string, f func()) string {
	fd, err := linux.OpenAt(unix.AT_FDCWD, "/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		f()
		return ""
	}
	defer unix.Close(fd)
	_, err = unix.Seek(fd, 0, unix.SEEK_END)
	f()
	if err != nil {
		return ""
	}
	return strings.Join(readRecords(fd, prefix), "; ")
}

// readRecords reads what waits, a record each time: "priority,number,time,flags;text\n"
// and lines of keys (Documentation/ABI/testing/dev-kmsg).
func readRecords(fd int, prefix string) []string {
	var lines []string
	for buf := make([]byte, 8<<10); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR || err == unix.EPIPE { // EPIPE: records were overwritten
			continue
		}
		if err != nil || n == 0 {
			return lines
		}
		_, text, _ := bytes.Cut(buf[:n], []byte(";"))
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if bytes.HasPrefix(line, []byte(prefix)) {
			lines = append(lines, string(line))
		}
	}
}
