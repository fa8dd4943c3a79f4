// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// xattrs compares extended attributes and marks. The error is of reading them.
func (c *comparer) xattrs(at spot, f *file, st *unix.Stat_t) error {
	names, err := linux.Llistxattr(at.dir, at.base)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch {
		case isOverlays(name):
			c.mark(at, f, name)
		case f.xattr(name) != nil:
			got, err := linux.Lgetxattr(at.dir, at.base, name)
			if err != nil {
				return err
			}
			if !sameXattr(name, string(got), *f.xattr(name), st.Mode) {
				c.report(at.path, "its attribute %s differs from the archive's", show(name))
			}
		case !isForeign(name):
			c.report(at.path, "it has the attribute %s, the archive does not", show(name))
		}
	}
	if f.more != nil {
		c.missingXattrs(at, f, names)
	}
	return c.marks(at, f, names)
}

// xattr is an attribute that the archive has, nil for none.
func (f *file) xattr(name string) *string {
	if f.more == nil {
		return nil
	}
	if value, ok := f.more.xattrs[name]; ok {
		return &value
	}
	return nil
}

func (c *comparer) missingXattrs(at spot, f *file, names []string) {
	for name, value := range f.more.xattrs {
		isHostsToSet := strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "security.")
		switch {
		case slices.Contains(names, name):
		case isHostsToSet && (c.opts.Unprivileged || c.opts.UserNamespace): // see mayDrop
		case name == aclAccess && !isExtended(value): // then it is the mode and nothing else
		default:
			c.report(at.path, "its attribute %s is missing", show(name))
		}
	}
}

// mark looks at a mark that the tree has. Those of Apply are opaque and origin;
// an upperdir has others, of which redirect and metacopy would show what is
// elsewhere.
func (c *comparer) mark(at spot, f *file, name string) {
	kind := name[strings.LastIndexByte(name, '.')+1:]
	known := c.opts.IsMark(name) && (kind == "opaque" && f.opaque || kind == "origin" && f.holds)
	if known || c.opts.Sealed && checkMark(name) == nil && kind != "opaque" {
		return
	}
	if c.opts.Sealed && !c.opts.IsMark(name) && checkMark(name) == nil { // the container's own, in the other namespace
		return
	}
	c.report(at.path, "it has the mark %s, the archive does not", show(name))
}

// marks looks for those that the archive says.
func (c *comparer) marks(at spot, f *file, names []string) error {
	if f.holds && !c.opts.Sealed && !slices.ContainsFunc(names, func(n string) bool { return c.opts.IsMark(n) && strings.HasSuffix(n, ".origin") }) {
		c.report(at.path, "the mark is missing that lets it hold whiteouts")
	}
	if !f.opaque {
		return nil
	}
	isOpaque, err := c.opts.Opaque(at.dir, at.base)
	if err == nil && !isOpaque {
		c.report(at.path, "it is not opaque, and the archive says so")
	}
	return err
}

// isForeign tells whether an attribute is of a kind that a tree has without the
// archive: the host's, or a filesystem's own.
func isForeign(attr string) bool {
	for _, prefix := range []string{"user.", "trusted.", "system.posix_acl_"} {
		if strings.HasPrefix(attr, prefix) {
			return false
		}
	}
	return attr != "security.capability"
}

// sameXattr compares a value that was read with one that was set before the mode.
func sameXattr(name, got, want string, mode uint32) bool {
	switch name {
	case aclAccess:
		return slices.Equal(parseACL(got), withMode(parseACL(want), mode))
	case aclDefault:
		return slices.Equal(parseACL(got), parseACL(want))
	case "security.capability":
		return capability(got) == capability(want)
	}
	return got == want
}

// capability is a value without the user namespace that it is good in, where that
// is the reader's own: the kernel adds and removes it (cap_inode_getsecurity in
// security/commoncap.c).
func capability(value string) string {
	const revision3, effective = 3, 1 // of VFS_CAP_REVISION, in the top byte, beside the flag
	if len(value) != 24 || value[3] != revision3 || value[20:] != "\x00\x00\x00\x00" {
		return value
	}
	return string([]byte{value[0] & effective, 0, 0, 2}) + value[4:20]
}

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// aclEntry is one of acl(5), as the attribute has it (linux/posix_acl_xattr.h).
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// Tags (linux/posix_acl.h).
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// parseACL is nil for what is none. Only users and groups have an id that counts.
func parseACL(value string) []aclEntry {
	const header = 4
	var entries []aclEntry
	for b := []byte(value); len(b) >= header+8; b = b[8:] {
		e := aclEntry{binary.LittleEndian.Uint16(b[header:]), binary.LittleEndian.Uint16(b[header+2:]), binary.LittleEndian.Uint32(b[header+4:])}
		if e.tag != aclUser && e.tag != aclGroup {
			e.id = 0
		}
		entries = append(entries, e)
	}
	return entries
}

// isExtended reports whether an access list says more than a mode can; another is
// not stored (posix_acl_equiv_mode in fs/posix_acl.c).
func isExtended(value string) bool {
	return slices.ContainsFunc(parseACL(value), func(e aclEntry) bool {
		return e.tag != aclUserObj && e.tag != aclGroupObj && e.tag != aclOther
	})
}

// withMode is what chmod(2) makes of an access list: the group's bits are those of
// the mask, where there is one (__posix_acl_chmod_masq in fs/posix_acl.c).
func withMode(acl []aclEntry, mode uint32) []aclEntry {
	hasMask := slices.ContainsFunc(acl, func(e aclEntry) bool { return e.tag == aclMask })
	for i := range acl {
		switch tag := acl[i].tag; {
		case tag == aclUserObj:
			acl[i].perm = uint16(mode >> 6 & 7)
		case tag == aclMask, tag == aclGroupObj && !hasMask:
			acl[i].perm = uint16(mode >> 3 & 7)
		case tag == aclOther:
			acl[i].perm = uint16(mode & 7)
		}
	}
	return acl
}
