// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Marks names the extended attributes in which the kernel keeps its
// bookkeeping: trusted.overlay.*, which only root may see, or user.overlay.*
// for mounts with userxattr (overlayfs.rst, "User xattr").
type Marks struct{ UserXattr bool }

// opaqueYes hides everything that older layers have in a directory. The other
// value the kernel knows, "x", only says that some whiteouts in the directory
// are regular files (overlayfs.rst, "whiteouts and opaque directories"); no
// mount of ours and no layer of ours ever holds one.
const opaqueYes = "y"

// IsWhiteout reports whether st is a character device 0:0, which hides the
// entry of that name in older layers. It has neither owner, mode, times nor
// attributes that mean anything.
func IsWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// MakeWhiteout creates the whiteout name in dir. It needs no privilege: since
// Linux 5.8 the device 0:0 is not guarded by CAP_MKNOD (mknod(2),
// WHITEOUT_DEV), in a user namespace too. An existing entry is an error
// (EEXIST).
func (Marks) MakeWhiteout(dir int, name string) error {
	return linux.Retry(func() error { return unix.Mknodat(dir, name, unix.S_IFCHR, 0) })
}

// Opaque reports whether the directory name of dir hides what older layers have
// beneath it. The name "." is dir itself.
func (m Marks) Opaque(dir int, name string) (bool, error) {
	value, err := linux.Lgetxattr(dir, name, m.attr("opaque"))
	return string(value) == opaqueYes, err
}

// SetOpaque makes the directory name of dir opaque.
func (m Marks) SetOpaque(dir int, name string) error {
	return linux.Lsetxattr(dir, name, m.attr("opaque"), []byte(opaqueYes))
}

// SetMayHoldWhiteouts makes the kernel look for whiteouts when it lists the
// directory name of dir although no other layer has that directory, or it is
// opaque. Without it such a listing shows them, as names that cannot be found.
// The mark is that of a directory copied up from an origin that is not known
// (ovl_get_inode in fs/overlayfs/inode.c, "non-merge dir that may have
// whiteouts"); one that is there already does the same and is kept.
func (m Marks) SetMayHoldWhiteouts(dir int, name string) error {
	names, err := linux.Llistxattr(dir, name)
	if err != nil || slices.Contains(names, m.attr("origin")) {
		return err
	}
	return linux.Lsetxattr(dir, name, m.attr("origin"), nil)
}

// IsMark reports whether attr is bookkeeping of the overlay that m describes,
// as against content. An overlay inside a container has its own marks escaped
// by the outer one, as trusted.overlay.overlay.opaque: those are content, and
// must survive a commit (overlayfs.rst, "Nesting overlayfs mounts").
func (m Marks) IsMark(attr string) bool {
	name, ok := strings.CutPrefix(attr, m.attr(""))
	return ok && !strings.HasPrefix(name, "overlay.")
}

func (m Marks) attr(name string) string {
	if m.UserXattr {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}

// fget is the value of the mark name of the open file fd, empty without one.
func (m Marks) fget(fd int, name string) (string, error) {
	buf := make([]byte, 32)
	var n int
	err := linux.Retry(func() (err error) {
		n, err = unix.Fgetxattr(fd, m.attr(name), buf)
		return err
	})
	switch err {
	case nil:
		return string(buf[:n]), nil
	case unix.ENODATA, unix.ENOTSUP:
		return "", nil
	case unix.ERANGE: // no mark of ours is that long, but it is there
		return "…", nil
	}
	return "", err
}

// readDirMarks reports whether the directory open at fd is opaque. A redirect
// is refused: the directory's content would be elsewhere (overlayfs.rst,
// "renaming directories").
func (m Marks) readDirMarks(fd int) (opaque bool, err error) {
	redirect, err := m.fget(fd, "redirect")
	if err != nil {
		return false, err
	}
	if redirect != "" {
		return false, m.refuse("redirect")
	}
	value, err := m.fget(fd, "opaque")
	return value == opaqueYes, err
}

// refuseParts refuses a file that is only the metadata of a file elsewhere
// (overlayfs.rst, "Metadata only copy up"): its bytes are not here.
func (m Marks) refuseParts(dir int, name string) error {
	names, err := linux.Llistxattr(dir, name)
	if err != nil {
		return err
	}
	for _, mark := range []string{"metacopy", "redirect"} {
		if slices.Contains(names, m.attr(mark)) {
			return m.refuse(mark)
		}
	}
	return nil
}

func (m Marks) refuse(mark string) error {
	return fmt.Errorf("has the mark %s, of a feature that is never on here", m.attr(mark))
}
