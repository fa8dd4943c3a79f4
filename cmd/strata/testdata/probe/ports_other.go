// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package main

import "golang.org/x/sys/unix"

// portAccess is to what only x86 has; the lines stay, for one table.
func portAccess() []attempt {
	absent := func() string { return word(unix.EPERM) }
	return []attempt{{name: "iopl", try: absent}, {name: "ioperm", try: absent}}
}
