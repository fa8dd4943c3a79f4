// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// copier copies trees for cp and, between filesystems, for mv.
type copier struct {
	call      *Call
	opts      options
	recursive bool
	preserve  bool // owner, mode and times
	archive   bool // and hard links and extended attributes
	follow    byte // L: all links, H: those named, P: none
	links     map[[2]uint64]string
}

func cp(c *Call) int {
	opts, ok := c.parse("arRpdPLHfinuvTt:lsx", "archive=a", "recursive=r", "no-dereference=P", "dereference=L",
		"force=f", "interactive=i", "no-clobber=n", "update=u", "verbose=v", "no-target-directory=T", "target-directory=t", "preserve=p", "link=l", "symbolic-link=s")
	if !ok {
		return 1
	}
	sources, dest, intoDir, err := destination(c.Args, opts, false)
	if err != nil {
		return c.usage("%v", err)
	}
	cp := newCopier(c, opts)
	for _, source := range sources {
		name := dest
		if intoDir {
			name = filepath.Join(dest, baseName(source))
		}
		cp.copy(source, name, true)
	}
	return c.status
}

// baseName keeps "..", whose content goes straight into the target.
func baseName(name string) string {
	if base := filepath.Base(name); base != ".." && base != "/" {
		return base
	}
	return "."
}

func newCopier(c *Call, opts options) *copier {
	cp := &copier{call: c, opts: opts, recursive: opts.has("arR"), preserve: opts.has("ap"),
		archive: opts.has("ad"), links: map[[2]uint64]string{}}
	switch cp.follow = opts.last("LHPad"); {
	case cp.follow == 'a' || cp.follow == 'd' || cp.follow == 0 && cp.recursive:
		cp.follow = 'P'
	case cp.follow == 0:
		cp.follow = 'L'
	}
	return cp
}

func (cp *copier) copy(source, dest string, named bool) {
	var st unix.Stat_t
	err := unix.Lstat(source, &st)
	if cp.follow == 'L' || cp.follow == 'H' && named {
		err = unix.Stat(source, &st)
	}
	if err != nil {
		cp.call.errorf("cannot stat '%s': %s", source, Reason(err))
		return
	}
	if cp.skip(source, dest, &st) {
		return
	}
	if err := cp.one(source, dest, &st); err != nil {
		cp.call.errorf("cannot copy '%s' to '%s': %s", source, dest, Reason(err))
	} else if cp.opts.has("v") {
		fmt.Fprintf(cp.call.Out, "'%s' -> '%s'\n", source, dest)
	}
}

// skip tells what is not to be copied, having said why where that is an error.
func (cp *copier) skip(source, dest string, st *unix.Stat_t) bool {
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if isDir && !cp.recursive {
		cp.call.errorf("-r not specified; omitting directory '%s'", source)
		return true
	}
	var old unix.Stat_t
	if unix.Lstat(dest, &old) != nil || isDir {
		return false
	}
	switch {
	case old.Dev == st.Dev && old.Ino == st.Ino:
		cp.call.errorf("'%s' and '%s' are the same file", source, dest)
		return true
	case cp.opts.last("nif") == 'n':
		return true
	case cp.opts.has("u") && old.Mtim.Nano() >= st.Mtim.Nano():
		return true
	case cp.opts.last("nif") == 'i':
		return !cp.call.confirm("overwrite '%s'? ", dest)
	}
	return false
}

func (cp *copier) one(source, dest string, st *unix.Stat_t) error {
	if cp.opts.has("l") && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.Link(source, dest)
	}
	if cp.opts.has("s") && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return os.Symlink(source, dest)
	}
	key := [2]uint64{st.Dev, st.Ino}
	if first, ok := cp.links[key]; ok {
		os.Remove(dest)
		return unix.Link(first, dest)
	}
	if cp.archive && st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		cp.links[key] = dest
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return cp.directory(source, dest, st)
	case unix.S_IFREG:
		return cp.file(source, dest, st)
	case unix.S_IFLNK:
		return cp.symlink(source, dest, st)
	}
	if !cp.recursive {
		return cp.file(source, dest, st)
	}
	if err := removeOld(dest); err != nil {
		return err
	}
	if err := unix.Mknod(dest, st.Mode, int(st.Rdev)); err != nil {
		return err
	}
	return cp.keep(source, dest, st)
}

func removeOld(name string) error {
	if err := unix.Unlink(name); err != unix.ENOENT {
		return err
	}
	return nil
}

func (cp *copier) directory(source, dest string, st *unix.Stat_t) error {
	inside, err := filepath.Abs(dest)
	from, _ := filepath.Abs(source)
	if err == nil && strings.HasPrefix(inside+"/", from+"/") {
		return fmt.Errorf("it is inside '%s'", source)
	}
	made := false
	if info, err := os.Stat(dest); err != nil || !info.IsDir() {
		if err := os.Mkdir(dest, 0o700); err != nil {
			return err
		}
		made = true
	}
	entries, err := os.ReadDir(source)
	for _, entry := range entries {
		cp.copy(filepath.Join(source, entry.Name()), filepath.Join(dest, entry.Name()), false)
	}
	if err != nil {
		return err
	}
	if cp.preserve {
		return cp.keep(source, dest, st)
	}
	if made {
		return unix.Chmod(dest, st.Mode&0o7777&^umask())
	}
	return nil
}

func (cp *copier) file(source, dest string, st *unix.Stat_t) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	out, err := os.OpenFile(dest, flags, os.FileMode(st.Mode&0o777))
	if err != nil && cp.opts.has("fa") && removeOld(dest) == nil {
		out, err = os.OpenFile(dest, flags, os.FileMode(st.Mode&0o777))
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if cp.preserve {
		return cp.keep(source, dest, st)
	}
	return nil
}

func (cp *copier) symlink(source, dest string, st *unix.Stat_t) error {
	target, err := os.Readlink(source)
	if err != nil {
		return err
	}
	if err := removeOld(dest); err != nil {
		return err
	}
	if err := os.Symlink(target, dest); err != nil {
		return err
	}
	if cp.preserve {
		return cp.keep(source, dest, st)
	}
	return nil
}

// keep gives dest the owner, attributes, mode and times of source, in the
// order in which none undoes another (chown clears the set-id bits and file
// capabilities).
func (cp *copier) keep(source, dest string, st *unix.Stat_t) error {
	if !cp.preserve {
		return nil
	}
	if err := os.Lchown(dest, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	if cp.archive {
		if err := copyAttributes(source, dest); err != nil {
			return err
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(dest, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, dest, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// copyAttributes copies the extended attributes. What the target's filesystem
// or our privileges do not allow is left out, as cp -a does.
func copyAttributes(source, dest string) error {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(source, list)
	if err != nil || n == 0 {
		return nil
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		size, err := unix.Lgetxattr(source, name, value)
		if err != nil {
			continue
		}
		switch err := unix.Lsetxattr(dest, name, value[:size], 0); err {
		case nil, unix.ENOTSUP, unix.EPERM, unix.EACCES:
		default:
			return err
		}
	}
	return nil
}

// copyOwner gives f the owner st has, where we may.
func copyOwner(f *os.File, st os.FileInfo) {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		f.Chown(int(sys.Uid), int(sys.Gid))
	}
}

func mv(c *Call) int {
	opts, ok := c.parse("finuvTt:", "force=f", "interactive=i", "no-clobber=n", "update=u", "verbose=v", "no-target-directory=T", "target-directory=t")
	if !ok {
		return 1
	}
	sources, dest, intoDir, err := destination(c.Args, opts, false)
	if err != nil {
		return c.usage("%v", err)
	}
	for _, source := range sources {
		name := dest
		if intoDir {
			name = filepath.Join(dest, filepath.Base(source))
		}
		move(c, opts, source, name)
	}
	return c.status
}

func move(c *Call, opts options, source, dest string) {
	var old, st unix.Stat_t
	if unix.Lstat(source, &st) == nil && unix.Lstat(dest, &old) == nil {
		switch {
		case st.Dev == old.Dev && st.Ino == old.Ino:
			c.errorf("'%s' and '%s' are the same file", source, dest)
			return
		case opts.last("nif") == 'n', opts.has("u") && old.Mtim.Nano() >= st.Mtim.Nano():
			return
		case opts.last("nif") == 'i' && !c.confirm("overwrite '%s'? ", dest):
			return
		}
	}
	err := unix.Rename(source, dest)
	if err == unix.EXDEV {
		err = moveAcross(c, source, dest)
	}
	if err != nil {
		c.errorf("cannot move '%s' to '%s': %s", source, dest, Reason(err))
	} else if opts.has("v") {
		fmt.Fprintf(c.Out, "renamed '%s' -> '%s'\n", source, dest)
	}
}

// moveAcross copies and removes; where the copy fails the source stays.
func moveAcross(c *Call, source, dest string) error {
	if err := os.Remove(dest); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	before := c.status
	c.status = 0
	newCopier(c, options{given: []option{{letter: 'a'}}}).copy(source, dest, true)
	if c.status != 0 {
		return errors.New("the copy is not complete")
	}
	c.status = before
	return os.RemoveAll(source)
}
