// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	mobyuser "github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/store"
)

// A Look is the root filesystem of an image or a container, open for reading,
// by a mount that is in nobody's mount table. Paths in it are resolved as a
// process inside would: no link leads out. What is no regular file, directory or
// symbolic link is never opened.
type Look struct {
	what    string // "image debian", "container web"
	root    *os.File
	store   string // where it shows the store, which is not shown
	held    []*os.File
	staging *store.Staging
}

// Look opens what the container or, if there is none, the image called name
// shows. A container may be running. The caller closes the result.
func (e *Engine) Look(name string) (*Look, error) {
	t, err := e.openTree(name)
	var unknown *container.UnknownError
	if errors.As(err, &unknown) {
		return e.lookAtImage(name, unknown)
	}
	if err != nil {
		return nil, err
	}
	return e.lookAtContainer(t)
}

// lookAtContainer closes t, or has the result do so.
func (e *Engine) lookAtContainer(t *tree) (l *Look, err error) {
	l = &Look{what: "container " + t.record.DisplayName(), store: e.storeWithin(&t.record), held: append(t.lower, t.upper)}
	var work *os.File
	if t.record.Rootfs != "" { // a workdir of its own: the container's may be in use
		if l.staging, err = e.store.Stage(); err != nil {
			return nil, errors.Join(e.spaceHint(err), l.Close())
		}
		work = l.staging.Dir()
	}
	root, err := e.mountTree(&t.record, t.lower, t.upper, work)
	return l.with(root, err)
}

// lookAtImage says, where there is no such image, that there is no container either
// if that has been looked for.
func (e *Engine) lookAtImage(name string, noContainer error) (l *Look, err error) {
	err = e.shared(func() error {
		img, err := e.resolve(name)
		var none *image.UnknownError
		if noContainer != nil && errors.As(err, &none) {
			return fmt.Errorf("%w, and %w", noContainer, err)
		}
		if err != nil {
			return err
		}
		lower, err := e.openLayers(img.Layers)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		l = &Look{what: "image " + name, held: lower}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, dir := range l.held {
		if _, err := durable.Share(dir); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	root, err := e.mountView(l.held, nil)
	return l.with(root, err)
}

// with takes over the mount, or closes everything after an error.
func (l *Look) with(root *os.File, err error) (*Look, error) {
	if err == nil {
		l.held = append(l.held, root)
		err = mount.SetAttr(root, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, 0, false)
	}
	if err == nil {
		l.root, err = linux.Reopen(root)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", l.what, err), l.Close())
	}
	l.held = append(l.held, l.root)
	return l, nil
}

// Close ends the mount.
func (l *Look) Close() error {
	err := lowers(l.held).close()
	if l.staging != nil {
		err = errors.Join(err, l.staging.Close())
	}
	return err
}

// Owners are the names that the root filesystem's own files give to ids. Files
// that cannot be read or parsed name nobody.
func (l *Look) Owners() (users, groups map[uint32]string) {
	users, groups = map[uint32]string{}, map[uint32]string{}
	data, _ := readAccounts(l.root, "etc/passwd")
	list, _ := mobyuser.ParsePasswd(bytes.NewReader(data))
	for _, u := range list {
		if _, known := users[uint32(u.Uid)]; !known {
			users[uint32(u.Uid)] = u.Name
		}
	}
	data, _ = readAccounts(l.root, "etc/group")
	groupList, _ := mobyuser.ParseGroup(bytes.NewReader(data))
	for _, g := range groupList {
		if _, known := groups[uint32(g.Gid)]; !known {
			groups[uint32(g.Gid)] = g.Name
		}
	}
	return users, groups
}

// A Node is an entry of a Look that has been found but not opened.
type Node struct {
	Path string // as it was asked for, from the root
	Stat unix.Stat_t

	look *Look
	file *os.File // O_PATH
}

// Find finds a path, which is taken from the root whatever it begins with. A link
// at its end is followed if follow is set or the path ends in a slash. The error
// for a path that is not there names those that may have been meant.
func (l *Look) Find(p string, follow bool) (*Node, error) {
	flags := unix.O_PATH
	if !follow && !strings.HasSuffix(p, "/") {
		flags |= unix.O_NOFOLLOW
	}
	shown := path.Clean("/" + p)
	fd, err := linux.OpenInRoot(int(l.root.Fd()), "/"+p, flags, 0)
	if err == nil && l.inStore(fd) && l.rel(fd, l.store) != "." { // that is an empty directory
		unix.Close(fd)
		err = unix.ENOENT
	}
	if err != nil {
		return nil, l.missing(shown, err)
	}
	n := &Node{Path: shown, look: l, file: os.NewFile(uintptr(fd), shown)}
	if n.Stat, err = linux.Fstat(fd); err != nil {
		return nil, errors.Join(n.fail(err), n.Close())
	}
	return n, nil
}

// inStore tells whether the open fd is in the store, which a container's host
// directory may hold.
func (l *Look) inStore(fd int) bool {
	return l.store != "" && l.rel(fd, l.store) != ""
}

// rel is the path of the open fd beneath the directory at p, "." for that itself,
// or "" where it is elsewhere.
func (l *Look) rel(fd int, p string) string {
	at := l.where(fd)
	if at == "/"+p {
		return "."
	}
	rest, _ := strings.CutPrefix(at, "/"+p+"/")
	if rest == at {
		return ""
	}
	return rest
}

// where is the path of the open fd from the root, without links, or "".
func (l *Look) where(fd int) string {
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // of a detached mount: from its root
	if err != nil {
		return ""
	}
	return at
}

// Close gives the descriptor back.
func (n *Node) Close() error { return n.file.Close() }

func (n *Node) fail(err error) error { return n.look.fail(n.Path, err) }

func (l *Look) fail(path string, err error) error {
	return fmt.Errorf("%s: %s: %w", l.what, path, err)
}

// IsDir tells whether it is a directory.
func (n *Node) IsDir() bool { return n.Stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// Target is what a symbolic link points to.
func (n *Node) Target() (string, error) {
	target, err := readLink(int(n.file.Fd()), "")
	if err != nil {
		return "", n.fail(err)
	}
	return target, nil
}

// readLink reads the link name of dir, or "" for the link dir itself.
func readLink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	var length int
	err := linux.Retry(func() (err error) {
		length, err = unix.Readlinkat(dir, name, buf)
		return err
	})
	return string(buf[:max(length, 0)]), err
}

// kindNames are what a file that is not opened is called.
var kindNames = map[uint32]string{
	unix.S_IFDIR: "a directory", unix.S_IFLNK: "a symbolic link", unix.S_IFCHR: "a character device",
	unix.S_IFBLK: "a block device", unix.S_IFIFO: "a named pipe", unix.S_IFSOCK: "a socket",
}

// Open opens a regular file for reading. The caller closes it.
func (n *Node) Open() (*os.File, error) {
	switch kind := n.Stat.Mode & unix.S_IFMT; kind {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return nil, n.fail(errors.New("it is a directory; strata ls lists it"))
	default:
		return nil, n.fail(fmt.Errorf("it is %s, which is not opened", kindNames[kind]))
	}
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", n.file.Fd()))
	if err != nil {
		return nil, n.fail(errors.Unwrap(err))
	}
	return f, nil
}
