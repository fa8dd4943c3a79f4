// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"bytes"
	"fmt"
	"maps"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// An Aspect is one way in which a modified path differs.
type Aspect string

// In the order in which Change.What lists them.
const (
	Type    Aspect = "type"
	Mode    Aspect = "mode"
	Owner   Aspect = "owner"
	Times   Aspect = "times" // the modification time: what else there is does not survive a copy-up
	Xattrs  Aspect = "xattrs"
	Content Aspect = "content" // of a file, the target of a link, the number of a device
)

// Stat describes the path as it is and as the lowers have it, as lstat(2)
// would; nil where it is not there.
func (c *Change) Stat() (new, old *unix.Stat_t, err error) {
	if c.old != nil {
		old = &c.old.st
	}
	if c.Kind == Deleted {
		return nil, old, nil
	}
	st, err := linux.Lstat(c.dir, c.name)
	if err != nil {
		return nil, old, fmt.Errorf("read changes of %s: %w", c.Path, err)
	}
	return &st, old, nil
}

// What says in which ways a modified path differs from what the lowers have. It
// is empty for other kinds, and for a directory that is listed for what is in it
// only. Contents are read if need be.
func (c *Change) What() ([]Aspect, error) {
	if c.Kind != Modified {
		return nil, nil
	}
	st, _, err := c.Stat()
	if err != nil {
		return nil, err
	}
	var what []Aspect
	for _, a := range aspects {
		differs, err := a.differs(c.walk, entry{c.dir, c.name, *st}, *c.old)
		if err != nil {
			return nil, fmt.Errorf("read changes of %s: %w", c.Path, err)
		}
		if differs {
			what = append(what, a.Aspect)
		}
		if differs && a.Aspect == Type { // the rest cannot be compared
			break
		}
	}
	return what, nil
}

// aspects are compared in this order, the cheap ones first.
var aspects = [...]struct {
	Aspect
	differs func(w *walk, new, old entry) (bool, error)
}{
	{Type, func(_ *walk, new, old entry) (bool, error) {
		return (new.st.Mode^old.st.Mode)&unix.S_IFMT != 0, nil
	}},
	{Mode, func(_ *walk, new, old entry) (bool, error) {
		return (new.st.Mode^old.st.Mode)&^unix.S_IFMT != 0, nil
	}},
	{Owner, func(_ *walk, new, old entry) (bool, error) {
		return new.st.Uid != old.st.Uid || new.st.Gid != old.st.Gid, nil
	}},
	{Times, func(_ *walk, new, old entry) (bool, error) {
		return new.st.Mtim != old.st.Mtim, nil
	}},
	{Xattrs, (*walk).xattrsDiffer},
	{Content, (*walk).contentDiffers},
}

// differ reports whether there is any difference.
func (w *walk) differ(new, old entry) (bool, error) {
	for _, a := range aspects {
		if differs, err := a.differs(w, new, old); differs || err != nil {
			return differs, err
		}
	}
	return false, nil
}

func (w *walk) xattrsDiffer(new, old entry) (bool, error) {
	a, err := w.marks.xattrs(new)
	if err != nil {
		return false, err
	}
	b, err := w.marks.xattrs(old)
	return err == nil && !maps.Equal(a, b), err
}

// xattrs are the attributes of e without overlay's marks.
func (m Marks) xattrs(e entry) (map[string]string, error) {
	names, err := linux.Llistxattr(e.dir, e.name)
	if err != nil {
		return nil, err
	}
	var xattrs map[string]string
	for _, name := range names {
		if m.IsMark(name) {
			continue
		}
		value, err := linux.Lgetxattr(e.dir, e.name, name)
		if err != nil {
			return nil, err
		}
		if xattrs == nil {
			xattrs = map[string]string{}
		}
		xattrs[name] = string(value)
	}
	return xattrs, nil
}

func (w *walk) contentDiffers(new, old entry) (bool, error) {
	switch new.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if new.st.Size != old.st.Size {
			return true, nil
		}
		return w.bytesDiffer(new, old)
	case unix.S_IFLNK:
		a, err := readlink(new)
		if err != nil {
			return false, err
		}
		b, err := readlink(old)
		return a != b, err
	case unix.S_IFCHR, unix.S_IFBLK:
		return new.st.Rdev != old.st.Rdev, nil
	}
	return false, nil
}

func readlink(e entry) (string, error) {
	buf := make([]byte, e.st.Size+1)
	var n int
	err := linux.Retry(func() (err error) {
		n, err = unix.Readlinkat(e.dir, e.name, buf)
		return err
	})
	return string(buf[:max(n, 0)]), err
}

// bytesDiffer reads two files of one size side by side.
func (w *walk) bytesDiffer(new, old entry) (bool, error) {
	a, err := openFile(new)
	if err != nil {
		return false, err
	}
	defer unix.Close(a)
	b, err := openFile(old)
	if err != nil {
		return false, err
	}
	defer unix.Close(b)
	if w.new == nil {
		const chunk = 256 << 10
		w.new, w.old = make([]byte, chunk), make([]byte, chunk)
	}
	for offset := int64(0); offset < old.st.Size; {
		n, err := pread(a, w.new, offset)
		if err != nil {
			return false, err
		}
		m, err := pread(b, w.old, offset)
		if err != nil || !bytes.Equal(w.new[:n], w.old[:m]) {
			return true, err
		}
		if n == 0 { // shorter than it was a moment ago
			return true, nil
		}
		offset += int64(n)
	}
	return false, nil
}

// openFile opens a regular file; one that has become something else since is
// not waited for.
func openFile(e entry) (int, error) {
	return linux.OpenAt(e.dir, e.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// pread fills buf unless the file ends.
func pread(fd int, buf []byte, offset int64) (n int, err error) {
	for n < len(buf) {
		var more int
		err := linux.Retry(func() (err error) {
			more, err = unix.Pread(fd, buf[n:], offset+int64(n))
			return err
		})
		if err != nil {
			return n, err
		}
		if more == 0 {
			break
		}
		n += more
	}
	return n, nil
}
