// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"fmt"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// comparer walks a tree and its shadow together.
type comparer struct {
	ctx      context.Context
	s        *shadow
	opts     VerifyOptions
	times    *timeProbe
	reported int
	later    []string
}

// compare reports how the tree differs from its shadow, and why its archive
// cannot be made again if nothing else says that.
func compare(ctx context.Context, root int, s *shadow, v *made, opts VerifyOptions) error {
	c := &comparer{ctx: ctx, s: s, opts: opts, times: &timeProbe{dir: opts.Scratch}}
	defer c.times.close()
	st, err := linux.Fstat(root)
	if err == nil {
		s.nodes[0].seen = true
		if _, implied := s.implied[0]; !implied || !opts.Sealed { // the root of a sealed layer is the container's
			c.file(spot{root, ".", "."}, 0, &st)
		}
		err = c.directory(root, 0, "")
	}
	if err != nil {
		return err
	}
	c.missing()
	v.Later = append(v.Later, c.later...)
	if v.broken != nil && c.reported == 0 { // it was mended, or cannot be read
		return v.broken
	}
	return nil
}

func (c *comparer) report(path, format string, args ...any) {
	c.reported++
	c.opts.Report(Difference{path, fmt.Sprintf(format, args...)})
}

// directory compares what the directory open at fd holds; prefix is its path with
// a slash, and empty for the root.
func (c *comparer) directory(fd int, dir uint32, prefix string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	entries, err := linux.ReadDir(fd)
	if err != nil {
		c.report(path.Clean(prefix), "it cannot be read: %v", err)
		return nil
	}
	c.s.nodes[dir].read = true
	for _, e := range entries {
		n, ok := c.s.child(dir, e.Name)
		if !ok {
			c.extra(e, prefix)
			continue
		}
		c.s.nodes[n].seen = true
		if f := c.s.file(n); f.known && f.ino == e.Ino && f.nlink == f.names && e.Type == unix.DT_REG {
			continue
		}
		if err := c.entry(spot{fd, e.Name, prefix + e.Name}, n); err != nil {
			return err
		}
	}
	return nil
}

// extra is an entry that the archive does not have.
func (c *comparer) extra(e linux.Dirent, prefix string) {
	if c.opts.Sealed && e.Type == unix.DT_SOCK {
		return
	}
	c.report(prefix+e.Name, "the archive does not have it")
}

func (c *comparer) entry(at spot, n uint32) error {
	st, err := linux.Lstat(at.dir, at.base)
	if err != nil {
		c.report(at.path, "it cannot be read: %v", err)
		return nil
	}
	if !c.file(at, n, &st) || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	fd, err := openQuietly(at.dir, at.base, unix.O_DIRECTORY)
	if err != nil {
		c.report(at.path, "it cannot be read: %v", err)
		return nil
	}
	defer unix.Close(fd)
	return c.directory(fd, n, at.path+"/")
}

// file compares an entry with what the archive says, and reports whether it is at
// least of the same kind.
func (c *comparer) file(at spot, n uint32, st *unix.Stat_t) bool {
	f := c.s.file(n)
	if got, want := kindOf(st), f.kind(); got != want {
		c.report(at.path, "it is %s, the archive has %s", got, want)
		return false
	}
	if f.isWhiteout() {
		return true
	}
	if first := c.names(at, f, st); !first { // all else has been compared under another name
		return true
	}
	c.content(at, f, st)
	c.attributes(at, n, st)
	if err := c.xattrs(at, f, st); err != nil {
		c.report(at.path, "its attributes cannot be read: %v", err)
	}
	return true
}

func (f *file) isWhiteout() bool { return f.mode == 0 }

func (f *file) kind() string {
	if f.isWhiteout() {
		return "a whiteout"
	}
	return kindOf(&unix.Stat_t{Mode: f.mode, Rdev: uint64(f.size)})
}

// kindOf is kindName that tells all kinds apart.
func kindOf(st *unix.Stat_t) string {
	if overlay.IsWhiteout(st) {
		return "a whiteout"
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return fmt.Sprintf("the character device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	case unix.S_IFBLK:
		return fmt.Sprintf("the block device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return kindName(st.Mode & unix.S_IFMT)
}

// content compares what making the archive again does not: the sizes of files, of
// which it may be an earlier one's content that was recorded, sparse files and the
// targets of links.
func (c *comparer) content(at spot, f *file, st *unix.Stat_t) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Size != f.size {
			c.report(at.path, "it has %d bytes, the archive has %d", st.Size, f.size)
		} else if f.more != nil && f.more.sum != nil {
			c.sparse(at, f.more.sum)
		}
	case unix.S_IFLNK:
		target, err := linux.Readlink(at.dir, at.base)
		if want := f.more.targetOf(); err != nil || target != want {
			c.report(at.path, "it links to %s, the archive has %s", show(target), show(want))
		}
	}
}

func (m *more) targetOf() string {
	if m == nil {
		return ""
	}
	return m.target
}

func (c *comparer) sparse(at spot, want *[32]byte) {
	fd, err := openQuietly(at.dir, at.base, 0)
	if err != nil {
		c.report(at.path, "it cannot be read: %v", err)
		return
	}
	defer unix.Close(fd)
	got, err := sumOf(linux.FD(fd))
	switch {
	case err != nil:
		c.report(at.path, "it cannot be read: %v", err)
	case *got != *want:
		c.report(at.path, "its content has the digest %s, the archive's %s", oci.FromSum(got[:]), oci.FromSum(want[:]))
	}
}

// names compares which names are of one file, and reports whether this is the
// first of them.
func (c *comparer) names(at spot, f *file, st *unix.Stat_t) (first bool) {
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return true
	}
	if uint64(st.Nlink) != uint64(f.names) {
		c.report(at.path, "it has %d names, the archive has %d", st.Nlink, f.names)
		return true
	}
	first = f.ino == 0
	if !first && f.ino != st.Ino {
		c.report(at.path, "it is a file of its own, the archive has a hard link")
		return true
	}
	f.ino = st.Ino
	return first
}

// attributes compares mode, owner and time.
func (c *comparer) attributes(at spot, n uint32, st *unix.Stat_t) {
	f := c.s.file(n)
	isLink := st.Mode&unix.S_IFMT == unix.S_IFLNK
	if got, want := st.Mode&0o7777, f.mode&0o7777; !isLink && got != want {
		c.report(at.path, "its mode is %04o, the archive has %04o", got, want)
	}
	if (st.Uid != f.uid || st.Gid != f.gid) && !c.opts.Unprivileged {
		c.report(at.path, "its owner is %d:%d, the archive has %d:%d", st.Uid, st.Gid, f.uid, f.gid)
	}
	if !c.sameTime(f, st) {
		got, want := time.Unix(st.Mtim.Sec, st.Mtim.Nsec), time.Unix(f.sec, int64(f.nsec))
		c.report(at.path, "its time is %s, the archive has %s", got.UTC().Format(time.RFC3339Nano), want.UTC().Format(time.RFC3339Nano))
	}
	if changedSince(st, c.opts.Since) {
		c.later = append(c.later, at.path)
	}
}

func (c *comparer) sameTime(f *file, st *unix.Stat_t) bool {
	if st.Mtim.Sec == f.sec && (st.Mtim.Nsec == int64(f.nsec) || c.opts.Sealed) {
		return true
	}
	if e := c.opts.Epoch; c.opts.Sealed && e != nil {
		return f.sec == e.Unix() && st.Mtim.Sec >= f.sec
	}
	return c.times.heldAs(f.sec, int64(f.nsec), st.Mtim)
}

// missing reports what the tree does not have, without what is beneath.
func (c *comparer) missing() {
	for n := range c.s.nodes {
		d := &c.s.nodes[n]
		if d.gone || d.seen || !c.s.nodes[d.parent].read {
			continue
		}
		what := "it is missing"
		if c.s.file(uint32(n)).isWhiteout() {
			what = "its whiteout is missing"
		}
		c.report(c.s.path(uint32(n)), "%s", what)
	}
}
