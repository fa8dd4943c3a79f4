// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockets of families that lead past the network namespace or to old code.
func sockets() []attempt {
	return []attempt{
		family("socket AF_VSOCK", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		family("socket AF_ALG", unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		family("socket AF_NETLINK", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE),
		family("socket AF_PACKET", unix.AF_PACKET, unix.SOCK_RAW, 0),
		{name: "raise lo's limit", try: raiseQueue},
	}
}

func family(name string, domain, kind, protocol int) attempt {
	return attempt{name: name, try: func() string {
		fd, err := unix.Socket(domain, kind, protocol)
		unix.Close(fd)
		return word(err)
	}}
}

// raiseQueue is a change of an interface, for which CAP_NET_ADMIN is needed
// even in a network namespace of one's own.
func raiseQueue() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return word(err)
	}
	defer unix.Close(fd)
	request := struct {
		name   [unix.IFNAMSIZ]byte
		length int32
		_      [20]byte
	}{length: 1000}
	copy(request.name[:], "lo")
	return raw(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFTXQLEN, uintptr(unsafe.Pointer(&request)))
}
