// SPDX-License-Identifier: Apache-2.0

package archive

import "golang.org/x/sys/unix"

const syscallENOSPC = unix.ENOSPC

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }
