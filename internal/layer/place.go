// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// spot is where an entry goes.
type spot struct {
	dir  int    // descriptor of its parent
	base string // its name there
	path string // its path in the layer
}

// place creates the entry at the clean path name: create, chown, extended
// attributes, mode, times. A chown later than the attributes would take file
// capabilities away (buildah#3294).
func (a *applier) place(name string, hdr *tar.Header) error {
	if err := a.checkOwner(hdr); err != nil {
		return err
	}
	dir, base, err := a.parent(name)
	if err != nil {
		return err
	}
	at := spot{dir, base, name}
	delete(a.leftOut, name)
	if name == "." && hdr.Typeflag != tar.TypeDir {
		return errors.New("the root of a layer must be a directory")
	}
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return a.file(at, hdr)
	case tar.TypeDir:
		return a.directory(at, hdr)
	case tar.TypeSymlink:
		return a.symlink(at, hdr)
	case tar.TypeLink:
		return a.hardLink(at, hdr)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return a.node(at, hdr)
	}
	return fmt.Errorf("its type %q is not known", hdr.Typeflag)
}

func (a *applier) checkOwner(hdr *tar.Header) error {
	for _, id := range []int{hdr.Uid, hdr.Gid} {
		if id < 0 || id > maxID {
			return fmt.Errorf("owner %d:%d is out of range, ids go from 0 to %d", hdr.Uid, hdr.Gid, uint32(maxID))
		}
	}
	return nil
}

// create calls make, and again after removing what stands in its place.
func (a *applier) create(at spot, make func() error) error {
	err := linux.Retry(make)
	if err != unix.EEXIST {
		return err
	}
	if err := a.remove(at); err != nil {
		return fmt.Errorf("replace what is there: %w", err)
	}
	return linux.Retry(make)
}

func (a *applier) file(at spot, hdr *tar.Header) error {
	if err := over("bytes in files", a.info.ContentSize+hdr.Size, a.opts.Bytes); err != nil {
		return err
	}
	fd := -1
	err := a.create(at, func() (err error) {
		const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_NOFOLLOW
		fd, err = linux.OpenAt(at.dir, at.base, flags, mode(hdr)&0o777)
		return err
	})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	err = a.fill(fd, at, hdr)
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	return err
}

func (a *applier) fill(fd int, at spot, hdr *tar.Header) error {
	if err := a.content(fd, at.path, hdr); err != nil {
		return err
	}
	a.info.ContentSize += hdr.Size
	if err := a.setOwnerAndMode(fd, at, hdr); err != nil {
		return err
	}
	return setTime(at, hdr)
}

// setOwnerAndMode looks first, since most files are root's and have the mode that
// they were made with: a change that changes nothing still goes through the
// filesystem's journal, and takes ten times as long.
func (a *applier) setOwnerAndMode(fd int, at spot, hdr *tar.Header) error {
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if int(st.Uid) != hdr.Uid || int(st.Gid) != hdr.Gid {
		if err := a.chown(at, hdr); err != nil {
			return err
		}
	}
	err = a.eachXattr(hdr, func(name string, value []byte) error { return linux.Fsetxattr(fd, name, value) })
	if err != nil {
		return err
	}
	if st.Mode&0o7777 == mode(hdr) && len(hdr.PAXRecords) == 0 { // an access list among them would change it
		return nil
	}
	if err := linux.Retry(func() error { return unix.Fchmod(fd, mode(hdr)) }); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	return nil
}

// content writes the file's bytes. Those of a sparse entry differ from the
// archive's, so the record takes the archive's.
func (a *applier) content(fd int, path string, hdr *tar.Header) error {
	sparse := isSparse(hdr)
	a.in.paused = !sparse
	defer func() { a.in.paused = false }()
	file := holeWriter{fd: fd}
	for {
		n, err := a.tar.Read(a.buf)
		if _, writeErr := file.Write(a.buf[:n]); writeErr != nil {
			return fmt.Errorf("write: %w", writeErr)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read archive at byte %d of %d of its content: %w", file.size, hdr.Size, err)
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
	}
	if !sparse {
		a.rec.addFile(path, file.size)
	}
	if err := file.finish(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (a *applier) directory(at spot, hdr *tar.Header) error {
	if err := a.makeDirectory(at); err != nil {
		return fmt.Errorf("mkdir: %w", err)
	}
	if _, known := a.dirs[at.path]; !known {
		if err := a.note(at.path); err != nil {
			return err
		}
	}
	attrs := attributes{mode: mode(hdr), mtime: hdr.ModTime}
	defer func() { a.dirs[at.path] = attrs }()
	if err := a.chown(at, hdr); err != nil {
		return err
	}
	return a.eachXattr(hdr, func(name string, value []byte) error {
		if name == aclDefault {
			attrs.acl = value
			return nil
		}
		return linux.Lsetxattr(at.dir, at.base, name, value)
	})
}

// makeDirectory keeps a directory that is there, but not its attributes.
func (a *applier) makeDirectory(at spot) error {
	err := unix.Mkdirat(at.dir, at.base, 0o700)
	if err != unix.EEXIST {
		return err
	}
	st, err := linux.Lstat(at.dir, at.base)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return a.create(at, func() error { return unix.Mkdirat(at.dir, at.base, 0o700) })
	}
	return clearXattrs(at)
}

func (a *applier) symlink(at spot, hdr *tar.Header) error {
	err := a.create(at, func() error { return unix.Symlinkat(hdr.Linkname, at.dir, at.base) })
	if err != nil {
		return fmt.Errorf("symlink to %s: %w", show(hdr.Linkname), err)
	}
	return a.finishNode(at, hdr)
}

// node makes a device or a pipe. A character device 0:0 would be a whiteout.
func (a *applier) node(at spot, hdr *tar.Header) error {
	if hdr.Typeflag != tar.TypeFifo {
		if err := a.checkDevice(hdr); err != nil {
			return err
		}
		if a.opts.UserNamespace {
			return a.leaveOut(at)
		}
	}
	format, dev := nodeOf(hdr)
	err := a.create(at, func() error { return unix.Mknodat(at.dir, at.base, format|0o600, dev) })
	if err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return a.finishNode(at, hdr)
}

func nodeOf(hdr *tar.Header) (format uint32, dev int) {
	dev = int(unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)))
	switch hdr.Typeflag {
	case tar.TypeChar:
		return unix.S_IFCHR, dev
	case tar.TypeBlock:
		return unix.S_IFBLK, dev
	}
	return unix.S_IFIFO, 0
}

// The kernel's device numbers have 12 and 20 bits (MINORBITS in kdev_t.h).
func (a *applier) checkDevice(hdr *tar.Header) error {
	major, minor := hdr.Devmajor, hdr.Devminor
	switch {
	case a.opts.Unprivileged && !a.opts.UserNamespace:
		return fmt.Errorf("device %d:%d: devices need root", major, minor)
	case major < 0 || major >= 1<<12 || minor < 0 || minor >= 1<<20:
		return fmt.Errorf("device %d:%d is out of range", major, minor)
	case hdr.Typeflag == tar.TypeChar && major == 0 && minor == 0:
		return errors.New("character device 0:0 is a whiteout in overlay form and cannot stand in an archive")
	}
	return nil
}

func (a *applier) finishNode(at spot, hdr *tar.Header) error {
	if err := a.chown(at, hdr); err != nil {
		return err
	}
	if err := a.setXattrs(at, hdr); err != nil {
		return err
	}
	if hdr.Typeflag != tar.TypeSymlink {
		if err := linux.Chmod(at.dir, at.base, mode(hdr)); err != nil {
			return fmt.Errorf("chmod: %w", err)
		}
	}
	return setTime(at, hdr)
}
