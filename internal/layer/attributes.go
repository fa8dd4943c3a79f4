// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// mode is the permission, set-id and sticky bits of an entry.
func mode(hdr *tar.Header) uint32 { return uint32(hdr.Mode) & 0o7777 }

func (a *applier) chown(at spot, hdr *tar.Header) error {
	if a.opts.Unprivileged {
		return nil
	}
	err := linux.Retry(func() error {
		return unix.Fchownat(at.dir, at.base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err == unix.EINVAL && a.opts.UserNamespace {
		return fmt.Errorf("owner %d:%d is not in the map of this user namespace, see /proc/self/uid_map and gid_map: a larger range in /etc/subuid and /etc/subgid is needed", hdr.Uid, hdr.Gid)
	}
	if err != nil {
		return fmt.Errorf("chown to %d:%d: %w", hdr.Uid, hdr.Gid, err)
	}
	return nil
}

// setTime sets the modification time, and the access time to the same so that
// it does not say when the layer was applied.
func setTime(at spot, hdr *tar.Header) error {
	ts := []unix.Timespec{timespec(hdr.ModTime), timespec(hdr.ModTime)}
	err := linux.Retry(func() error { return unix.UtimesNanoAt(at.dir, at.base, ts, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

func (a *applier) setXattrs(at spot, hdr *tar.Header) error {
	return a.eachXattr(hdr, func(name string, value []byte) error {
		return linux.Lsetxattr(at.dir, at.base, name, value)
	})
}

// eachXattr calls set for the extended attributes of an entry, but for those
// that overlay or the host keep.
func (a *applier) eachXattr(hdr *tar.Header, set func(name string, value []byte) error) error {
	total := 0
	for key, value := range hdr.PAXRecords {
		encoded, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		name := decodeXattr.Replace(encoded)
		total += len(name) + len(value)
		if err := over("bytes of extended attributes", total, a.opts.Xattrs); err != nil {
			return err
		}
		if isOverlays(name) || isHosts(name) {
			continue
		}
		if err := set(name, []byte(value)); err != nil && !a.mayDrop(name, err) {
			return fmt.Errorf("set attribute %s: %w", show(name), err)
		}
	}
	return nil
}

// mayDrop reports whether an attribute that could not be set is one that the
// caller has no right to.
func (a *applier) mayDrop(name string, err error) bool {
	return (a.opts.Unprivileged || a.opts.UserNamespace) && errors.Is(err, unix.EPERM) &&
		(strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "security."))
}

// A PAX keyword cannot hold "=". GNU tar (xheader.c, xattr_encode_keyword)
// writes such a name so, and it is the only one that says how.
var (
	encodeXattr = strings.NewReplacer("%", "%25", "=", "%3D")
	decodeXattr = strings.NewReplacer("%25", "%", "%3D", "=")
)

// clearXattrs takes away what an earlier entry of the same path has set.
func clearXattrs(at spot) error {
	names, err := linux.Llistxattr(at.dir, at.base)
	for _, name := range names {
		if err == nil && !isHosts(name) {
			err = linux.Lremovexattr(at.dir, at.base, name)
		}
	}
	return err
}
