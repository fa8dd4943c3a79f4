// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dirent is an entry of a directory as getdents64(2) gives it.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint8 // unix.DT_REG and so on; unix.DT_UNKNOWN where the filesystem does not say
}

// ReadDir reads the whole directory open at fd from its beginning, sorted by
// name in byte order, without "." and "..". Unlike os.ReadDir it asks for
// nothing that getdents64 does not already give.
func ReadDir(fd int) ([]Dirent, error) {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return nil, err
	}
	var entries []Dirent
	buf := make([]byte, 4<<10) // most directories are small, and the first use of each page costs
	for {
		var n int
		err := Retry(func() (err error) { n, err = unix.Getdents(fd, buf); return err })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		entries = appendDirents(entries, buf[:n])
		if len(buf) < 32<<10 {
			buf = make([]byte, 32<<10)
		}
	}
	slices.SortFunc(entries, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// appendDirents decodes struct linux_dirent64: d_ino, d_off, d_reclen, d_type
// and the name up to its NUL.
func appendDirents(entries []Dirent, buf []byte) []Dirent {
	for len(buf) >= 19 {
		size := binary.NativeEndian.Uint16(buf[16:])
		name, _, _ := bytes.Cut(buf[19:size], []byte{0})
		if s := string(name); s != "." && s != ".." {
			entries = append(entries, Dirent{Name: s, Ino: binary.NativeEndian.Uint64(buf), Type: buf[18]})
		}
		buf = buf[size:]
	}
	return entries
}
