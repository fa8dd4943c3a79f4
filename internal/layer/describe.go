// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// describe is the file that place.go makes of an entry, a hard link excepted.
// Who may not chown leaves the owner to Geteuid, and comparing does not look at
// it.
func (s *shadow) describe(hdr *tar.Header, content func() (*[32]byte, error)) (file, error) {
	f := file{
		mode: mode(hdr), uid: uint32(hdr.Uid), gid: uint32(hdr.Gid),
		sec: hdr.ModTime.Unix(), nsec: uint32(hdr.ModTime.Nanosecond()),
	}
	var m more
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		f.mode |= unix.S_IFREG
		f.size = hdr.Size
		if isSparse(hdr) {
			sum, err := content()
			if err != nil {
				return f, err
			}
			m.sum = sum
		}
	case tar.TypeDir:
		f.mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		f.mode = unix.S_IFLNK
		m.target = strings.Clone(hdr.Linkname) // which may be cut from a long header
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		format, dev := nodeOf(hdr)
		f.mode |= format
		f.size = int64(dev)
	default:
		return f, fmt.Errorf("its type %q is not known", hdr.Typeflag)
	}
	m.xattrs = xattrsOf(hdr)
	if m.target != "" || m.xattrs != nil || m.sum != nil {
		f.more = &m
	}
	return f, nil
}

// xattrsOf are the attributes that an entry's file gets, nil for none.
func xattrsOf(hdr *tar.Header) map[string]string {
	var xattrs map[string]string
	for key, value := range hdr.PAXRecords {
		encoded, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		name := decodeXattr.Replace(encoded)
		if isOverlays(name) || isHosts(name) {
			continue
		}
		if xattrs == nil {
			xattrs = map[string]string{}
		}
		xattrs[strings.Clone(name)] = strings.Clone(value)
	}
	return xattrs
}
