// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"strings"
	"time"

	"strata/internal/tree"
)

const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// acl gives user 7 read access (acl(5); include/uapi/linux/posix_acl_xattr.h).
const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x07\x00\x00\x00" +
	"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"

var attributes = []Layer{
	{Name: "uid of 2^32", Entries: []Entry{File("a", "").With(Owner(1<<32, 0)).With(Mode(0o4755))}, Err: "entry a: owner 4294967296:0 is out of range, ids go from 0 to 4294967294"},
	{Name: "uid of 2^32-1", Entries: []Entry{File("a", "").With(Owner(1<<32-1, 0))}, Err: "entry a: owner 4294967295:0 is out of range, ids go from 0 to 4294967294"},
	{Name: "gid of 2^32-1", Entries: []Entry{Dir("a").With(Owner(0, 1<<32-1))}, Err: "entry a: owner 0:4294967295 is out of range, ids go from 0 to 4294967294"},
	{Name: "negative uid", Entries: []Entry{Symlink("a", "b").With(Owner(-1, 0))}, Err: "entry a: owner -1:0 is out of range, ids go from 0 to 4294967294"},
	{Name: "largest ids", Entries: []Entry{File("a", "").With(Owner(1<<32-2, 1<<32-2))}, Want: tree.New(tree.File("a", "", tree.Owner(1<<32-2, 1<<32-2)))},
	{Name: "set-id bits survive the owner", Entries: []Entry{File("a", "x").With(Owner(1, 2)).With(Mode(0o6755)), Dir("d").With(Owner(1, 2)).With(Mode(0o3777))},
		Want: tree.New(tree.File("a", "x", tree.Owner(1, 2), tree.Mode(0o6755)), tree.Dir("d", tree.Owner(1, 2), tree.Mode(0o3777)))},
	{Name: "file type bits in the mode", Entries: []Entry{File("a", "").With(Mode(0o120644))}, Want: tree.New(tree.File("a", ""))},
	{Name: "directory without rights", Entries: []Entry{Dir("d").With(Mode(0)), File("d/a", "x")}, Want: tree.New(tree.Dir("d", tree.Mode(0)), tree.File("d/a", "x"))},
	{Name: "capability survives the owner", Entries: []Entry{File("a", "x").With(Owner(1, 1)).With(Xattr("security.capability", capability))},
		Want: tree.New(tree.File("a", "x", tree.Owner(1, 1), tree.Xattr("security.capability", capability)))},
	{Name: "overlay's marks are stripped", Entries: []Entry{Dir("d").With(Xattr("trusted.overlay.opaque", "y")), Dir("e").With(Xattr("user.overlay.opaque", "y")),
		Dir("g").With(Xattr("trusted.overlay.redirect", "/etc")), File("f", "").With(Xattr("trusted.overlay.metacopy", "")), File("h", "").With(Xattr("user.overlay.metacopy", ""))},
		Want: tree.New(tree.Dir("d"), tree.Dir("e"), tree.Dir("g"), tree.File("f", ""), tree.File("h", ""))},
	{Name: "a nested overlay's marks are kept", Entries: []Entry{Dir("d").With(Xattr("trusted.overlay.overlay.opaque", "y"))},
		Want:   tree.New(tree.Dir("d", tree.Xattr("trusted.overlay.overlay.opaque", "y"))),
		Merged: tree.New(tree.Dir("d"))},
	{Name: "the host's labels are not set", Entries: []Entry{File("a", "").With(Xattr("security.selinux", "system_u:object_r:bin_t:s0\x00"))}, Want: tree.New(tree.File("a", ""))},
	{Name: "attribute of no namespace", Entries: []Entry{File("a", "").With(Xattr("nowhere", "x"))}, Err: "entry a: set attribute nowhere: operation not supported"},
	{Name: "attribute with an equals sign", Entries: []Entry{File("a", "").With(Xattr("user.a%3Db%25", "x"))}, Want: tree.New(tree.File("a", "", tree.Xattr("user.a=b%", "x")))},
	{Name: "many bytes of attributes", Entries: []Entry{File("a", "").With(Xattr("user.x", strings.Repeat("v", 300<<10)))}, Err: "entry a: more than the limit of 262144 bytes of extended attributes"},
	{Name: "uid above 2^31", Entries: []Entry{File("a", "").With(Owner(1<<31+5, 1<<31+6))}, Want: tree.New(tree.File("a", "", tree.Owner(1<<31+5, 1<<31+6)))},
	{Name: "access control list", Entries: []Entry{File("a", "").With(Xattr("system.posix_acl_access", acl))}, Want: tree.New(tree.File("a", "", tree.Xattr("system.posix_acl_access", acl)))},
	{Name: "default access control list", Entries: []Entry{Dir("d").With(Xattr("system.posix_acl_default", acl)), File("d/a", "")},
		Want: tree.New(tree.Dir("d", tree.Xattr("system.posix_acl_default", acl)), tree.File("d/a", ""))},
	{Name: "damaged access control list", Entries: []Entry{File("a", "").With(Xattr("system.posix_acl_access", "rubbish"))}, Err: "entry a: set attribute system.posix_acl_access: operation not supported"},
	{Name: "capability on a link", Entries: []Entry{Symlink("a", "b").With(Xattr("security.capability", capability))}, Want: tree.New(tree.Symlink("a", "b", tree.Xattr("security.capability", capability)))},
	{Name: "user attribute on a link", Entries: []Entry{Symlink("a", "b").With(Xattr("user.x", "y"))}, Err: "entry a: set attribute user.x: operation not permitted"},
	{Name: "trusted attribute on a link", Entries: []Entry{Symlink("a", "b").With(Xattr("trusted.x", "y"))}, Want: tree.New(tree.Symlink("a", "b", tree.Xattr("trusted.x", "y")))},
	{Name: "overlay's marks in user attributes", Entries: []Entry{Dir("d").With(Xattr("user.overlay.redirect", "/etc")), File("f", "").With(Xattr("user.overlay.origin", "x"))}, Want: tree.New(tree.Dir("d"), tree.File("f", ""))},
	{Name: "attribute with an empty name", Entries: []Entry{File("a", "").With(Xattr("", "x"))}, Err: `entry a: set attribute "": numerical result out of range`},
	{Name: "attribute with an empty value", Entries: []Entry{File("a", "").With(Xattr("user.x", ""))}, Want: tree.New(tree.File("a", "", tree.Xattr("user.x", "")))},
	{Name: "attribute with a long name", Entries: []Entry{File("a", "").With(Xattr("user."+strings.Repeat("x", 300), "y"))}, Err: "entry a: set attribute user." + strings.Repeat("x", 300) + ": numerical result out of range"},
	{Name: "nanoseconds", Entries: []Entry{File("a", "").With(Format(tar.FormatPAX), Time(time.Unix(1_600_000_000, 123_456_789)))}, Want: tree.New(tree.File("a", "", tree.TimeNano(1_600_000_000_123_456_789)))},
	{Name: "before 1970", Entries: []Entry{File("a", "").With(Format(tar.FormatPAX), Time(time.Unix(-1000, 0)))}, Want: tree.New(tree.File("a", "", tree.Time(-1000)))},
	{Name: "before 1970 and nanoseconds", Entries: []Entry{File("a", "").With(Format(tar.FormatPAX), Time(time.Unix(-1, 500_000_000)))}, Want: tree.New(tree.File("a", "", tree.TimeNano(-500_000_000)))},
	{Name: "GNU's binary negative time", Entries: []Entry{File("a", "").With(Format(tar.FormatGNU), Time(time.Unix(-86400, 0)))}, Want: tree.New(tree.File("a", "", tree.Time(-86400)))},
	{Name: "after 2038", Entries: []Entry{File("a", "").With(Time(time.Unix(1<<32, 0)))}, Want: tree.New(tree.File("a", "", tree.Time(1<<32)))},
	{Name: "after 2262", Entries: []Entry{File("a", "").With(Time(time.Unix(9_300_000_000, 0)))}, Want: tree.New(tree.File("a", "", tree.Time(9_300_000_000)))},
	{Name: "time beyond the filesystem's", Entries: []Entry{File("a", "").With(Time(time.Unix(1<<40, 0)))}, Unread: true},
	{Name: "time that is no number", Entries: []Entry{Pax("mtime=soon"), File("a", "")}, Err: "read archive at its first entry: archive/tar: invalid tar header"},
	{Name: "mode that is negative", Entries: []Entry{File("a", "").Patched(func(b []byte) { copy(b[100:108], "\xff\xff\xff\xff\xff\xff\xff\xff") })}, Want: tree.New(tree.File("a", "", tree.Mode(0o7777)))},
	{Name: "names of owners do not count", Entries: []Entry{File("a", "").With(func(h *tar.Header) { h.Uname, h.Gname = "nobody", "nogroup" })}, Want: tree.New(tree.File("a", ""))},
	{Name: "file that nobody may read", Entries: []Entry{File("a", "x").With(Mode(0)), HardLink("b", "a")}, Want: tree.New(tree.File("a", "x", tree.Mode(0)), tree.HardLink("b", "a"))},
	{Name: "sticky file and set-gid link", Entries: []Entry{File("a", "").With(Mode(0o1644)), Symlink("l", "a").With(Mode(0o6777))}, Want: tree.New(tree.File("a", "", tree.Mode(0o1644)), tree.Symlink("l", "a"))},
}

var devices = []Layer{
	{Name: "whiteout as a device", Entries: []Entry{Device("a", tar.TypeChar, 0, 0)}, Err: "entry a: character device 0:0 is a whiteout in overlay form and cannot stand in an archive"},
	{Name: "whiteout by overflow", Entries: []Entry{Device("a", tar.TypeChar, 1<<12, 0)}, Err: "entry a: device 4096:0 is out of range"},
	{Name: "minor by overflow", Entries: []Entry{Device("a", tar.TypeBlock, 1, 1<<20)}, Err: "entry a: device 1:1048576 is out of range"},
	{Name: "devices and pipes", Entries: []Entry{Device("c", tar.TypeChar, 1, 3), Device("b", tar.TypeBlock, 8, 1<<20-1), Device("p", tar.TypeFifo, 7, 7)},
		Want: tree.New(tree.Char("c", 1, 3), tree.Block("b", 8, 1<<20-1), tree.Fifo("p"))},
	{Name: "device with a negative number", Entries: []Entry{Device("a", tar.TypeChar, 1, 3).Patched(func(b []byte) { copy(b[329:337], "\xff\xff\xff\xff\xff\xff\xff\xff") })}, Err: "entry a: device -1:3 is out of range"},
	{Name: "device over a file", Entries: []Entry{File("a", "x"), Device("a", tar.TypeChar, 1, 5)}, Want: tree.New(tree.Char("a", 1, 5))},
	{Name: "file over a device", Entries: []Entry{Device("a", tar.TypeChar, 1, 5), File("a", "x")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "hard link to a device", Entries: []Entry{Device("a", tar.TypeBlock, 8, 0).With(Mode(0o666)), HardLink("b", "a")}, Want: tree.New(tree.Block("a", 8, 0, tree.Mode(0o666)), tree.HardLink("b", "a"))},
	{Name: "set-uid pipe with attributes", Entries: []Entry{Device("p", tar.TypeFifo, 0, 0).With(Mode(0o6711), Owner(5, 5), Xattr("trusted.x", "y"))}, Want: tree.New(tree.Fifo("p", tree.Mode(0o6711), tree.Owner(5, 5), tree.Xattr("trusted.x", "y")))},
}
