// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// terminal is what can be done to the one that standard input may be: put
// characters into the input of whoever reads from it next (CVE-2017-5226).
func terminal() []attempt {
	return []attempt{
		{name: "TIOCSTI", first: true, try: func() string { return control(unix.TIOCSTI, 'x') }},
		{name: "TIOCLINUX", first: true, try: func() string { return control(unix.TIOCLINUX, 3) }}, // TIOCL_PASTESEL
		{name: "TIOCSCTTY", first: true, try: func() string { return raw(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 1) }},
		{name: "TIOCCONS", first: true, try: func() string { return raw(unix.SYS_IOCTL, 0, unix.TIOCCONS) }},
	}
}

func control(request uintptr, argument byte) string {
	p := &argument
	result := raw(unix.SYS_IOCTL, 0, request, uintptr(unsafe.Pointer(p)))
	runtime.KeepAlive(p)
	return result
}
