// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// target opens the place inside the rootfs where a mount goes, making it as a
// directory or an empty file where it is missing. Links are followed as the
// container would follow them, beneath the mounts prepared so far.
func (p *preparation) target(dest string, directory bool) (*os.File, error) {
	base, rel, err := p.covering(dest)
	if err != nil {
		return nil, err
	}
	root := int(base.root.Fd())
	fd, err := linux.OpenBeneath(root, rel, unix.O_PATH, 0)
	if err == unix.ENOENT && !strings.Contains(rel, "/") && makeEntry(root, rel, directory) == nil {
		fd, err = linux.OpenBeneath(root, rel, unix.O_PATH, 0)
	}
	plain := err == nil
	if !plain {
		fd, err = openOrMake(root, rel, directory)
	}
	if err == nil {
		err = checkType(fd, directory)
	}
	if err != nil {
		return nil, &os.PathError{Op: "make mount point", Path: dest, Err: err}
	}
	f := p.keep(os.NewFile(uintptr(fd), dest))
	if !plain {
		err = p.checkPlace(f, base, dest)
	}
	return f, err
}

// plainTarget is target for a directory that is later named by its path, so it
// may not be reached through a link (CVE-2019-19921).
func (p *preparation) plainTarget(dest string) (*os.File, error) {
	fd, err := linux.OpenBeneath(int(p.root.Fd()), strings.TrimPrefix(path.Clean(dest), "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
	switch err {
	case nil:
		return p.keep(os.NewFile(uintptr(fd), dest)), nil
	case unix.ELOOP:
		return nil, fmt.Errorf("mount on %s: it is a symbolic link in the image", dest)
	}
	return p.target(dest, true)
}

// checkPlace refuses a target that links have led to where another mount will
// cover it, or out of the mount it was looked for in.
func (p *preparation) checkPlace(f *os.File, base prepared, dest string) error {
	found, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return err
	}
	place := path.Join(base.path, found)
	if over, _, err := p.covering(place); err != nil || over.root != base.root {
		return fmt.Errorf("mount on %s: the image has a link there to %s, which is mounted over", dest, place)
	}
	return nil
}

// covering is the prepared mount that dest is beneath, and dest relative to it.
func (p *preparation) covering(dest string) (prepared, string, error) {
	best := prepared{path: "/", root: p.root}
	for _, m := range p.mounts {
		if beneath(dest, m.path) && len(m.path) >= len(best.path) {
			best = m
		}
	}
	if best.sealed && best.path != path.Clean(dest) {
		return best, "", fmt.Errorf("mount on %s: nothing can be mounted beneath %s", dest, best.path)
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(path.Clean(dest), best.path), "/")
	if rel == "" {
		rel = "."
	}
	return best, rel, nil
}

func beneath(dest, dir string) bool {
	dest = path.Clean(dest)
	return dest == dir || strings.HasPrefix(dest, strings.TrimSuffix(dir, "/")+"/")
}

// maxLinks is how many links that lead nowhere yet are followed to make what
// they name (path_resolution(7) has 40 for all links).
const maxLinks = 8

// openOrMake opens name in the root directory root (O_PATH), making what is
// missing of it.
func openOrMake(root int, name string, directory bool) (int, error) {
	return openOrMakeLinked(root, name, directory, maxLinks)
}

func openOrMakeLinked(root int, name string, directory bool, links int) (int, error) {
	fd, err := linux.OpenInRoot(root, name, unix.O_PATH, 0)
	if err == unix.ENOENT {
		return makePath(root, name, directory, links)
	}
	return fd, err
}

// checkType closes fd and says what is wrong when it is a directory and none is
// wanted, or the other way round.
func checkType(fd int, directory bool) error {
	st, err := linux.Fstat(fd)
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case err != nil:
	case isDir && !directory:
		err = unix.EISDIR
	case !isDir && directory:
		err = unix.ENOTDIR
	default:
		return nil
	}
	unix.Close(fd)
	return err
}

// makePath makes the last component of name, and before it the directories
// that are missing. Where a link leads nowhere, it makes what the link names,
// beneath root like everything.
func makePath(root int, name string, directory bool, links int) (int, error) {
	parent, err := openOrMakeLinked(root, path.Dir(name), true, links)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	if err := makeEntry(parent, base, directory); err != nil && err != unix.EEXIST {
		return -1, err
	}
	fd, err := linux.OpenBeneath(parent, base, unix.O_PATH, 0)
	if err != unix.ELOOP {
		return fd, err
	}
	to, err := linux.Readlink(parent, base)
	if err != nil || links == 0 {
		return -1, unix.ELOOP
	}
	if !path.IsAbs(to) {
		to = path.Join("/", path.Dir(name), to)
	}
	return openOrMakeLinked(root, path.Join(".", to), directory, links-1)
}

func makeEntry(parent int, name string, directory bool) error {
	if directory {
		return unix.Mkdirat(parent, name, 0o755)
	}
	fd, err := linux.OpenAt(parent, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
