// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An archive is an initramfs in cpio's newc form, not compressed
// (Documentation/driver-api/early-userspace/buffer-format.rst). Directories on
// the way to an entry are made as they are needed, since the kernel makes none.
type archive struct {
	w     *bufio.Writer
	files map[string]bool // names that are there
	err   error           // the first; what follows it does nothing
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), files: map[string]bool{".": true}}
}

// entry adds one name with its raw mode and content; size bytes are read.
func (a *archive) entry(name string, mode uint32, device uint64, size int64, content io.Reader) {
	name = path.Clean(name)
	if a.err != nil || a.files[name] {
		return
	}
	a.dir(path.Dir(name))
	a.files[name] = true
	a.write(name, mode, device, size, content)
}

func (a *archive) write(name string, mode uint32, device uint64, size int64, content io.Reader) {
	if a.err != nil {
		return
	}
	if size > 1<<32-1 {
		a.err = fmt.Errorf("archive %s: newc has no files of 4 GiB", name)
		return
	}
	// magic, inode, mode, uid, gid, links, mtime, size, device, rdevice, length of the name, checksum
	fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		len(a.files), mode, 0, 0, 1, 0, size, 0, 0, unix.Major(device), unix.Minor(device), len(name)+1, 0, name)
	a.pad(110 + int64(len(name)) + 1)
	if n, err := io.CopyN(a.w, content, size); err != nil {
		a.err = fmt.Errorf("archive %s: %d of %d bytes: %w", name, n, size, err)
	}
	a.pad(size)
}

// pad goes on to the next multiple of four.
func (a *archive) pad(n int64) { a.w.Write(make([]byte, -n&3)) }

func (a *archive) dir(name string) { a.entry(name, unix.S_IFDIR|0o755, 0, 0, nothing) }

func (a *archive) text(name string, mode uint32, content string) {
	a.entry(name, unix.S_IFREG|mode, 0, int64(len(content)), readString(content))
}

func (a *archive) link(name, target string) {
	a.entry(name, unix.S_IFLNK|0o777, 0, int64(len(target)), readString(target))
}

func (a *archive) device(name string, major, minor uint32) {
	a.entry(name, unix.S_IFCHR|0o600, unix.Mkdev(major, minor), 0, nothing)
}

// file adds the regular file that from leads to, with its permissions.
func (a *archive) file(name, from string) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		a.err = &os.PathError{Op: "stat", Path: from, Err: err}
		return
	}
	a.entry(name, stat.Mode, 0, stat.Size, f)
}

// tree adds what is in a directory; one that is not there is empty.
func (a *archive) tree(name, from string) {
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		switch rel, _ := filepath.Rel(from, p); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			a.dir(path.Join(name, rel))
		default:
			a.file(path.Join(name, rel), p)
		}
		return a.err
	})
	a.err = errors.Join(a.err, err)
}

// close ends the archive; the writer beneath stays open.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, 0, nothing)
	return errors.Join(a.err, a.w.Flush())
}
