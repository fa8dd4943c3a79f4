// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/layer"
	"strata/internal/linux"
)

// Archive writes what is at p as docker cp does: an archive of the one entry, by
// its own name, with all beneath it; of "DIR/." and of the root what is in the
// directory, as "./NAME". A link at the end of p is written as a link unless
// follow is set.
func (l *Look) Archive(ctx context.Context, p string, follow bool, w io.Writer) error {
	n, err := l.Find(p, follow)
	if err != nil {
		return err
	}
	defer n.Close()
	if n.Stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
		return n.fail(errors.New("it is a socket, which an archive cannot hold"))
	}
	from, only, as, err := n.place(p, follow)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = layer.Write(ctx, from, w, nil, layer.WriteOptions{View: true, Only: only, As: as, Hollow: n.hollow(as)})
	if err != nil {
		return fmt.Errorf("%s: %w", l.what, err)
	}
	return nil
}

// place is the directory that has n as its entry called only, and what it is
// called in an archive: by the path that was asked for, or if a link at its end
// was followed by what that points to. The caller closes the directory.
func (n *Node) place(p string, followed bool) (from *os.File, only, as string, err error) {
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", n.file.Fd())) // where links lead only the kernel knows
	if err != nil {
		return nil, "", "", n.fail(err)
	}
	as = path.Base(n.Path)
	if followed && !strings.HasSuffix(p, "/") {
		as = path.Base(at)
	}
	if as == "/" || strings.HasSuffix(p, "/.") {
		as = "."
	}
	if n.IsDir() {
		from, err = linux.Reopen(n.file)
		return from, ".", as, err
	}
	dir, only := path.Split(at)
	fd, err := linux.OpenInRoot(int(n.look.root.Fd()), dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, "", "", n.fail(err)
	}
	return os.NewFile(uintptr(fd), dir), only, as, nil
}

// hollow is where an archive of n has the store, if it has.
func (n *Node) hollow(as string) string {
	if n.look.store == "" || !n.IsDir() {
		return ""
	}
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", n.file.Fd()))
	if err != nil {
		return ""
	}
	rest, within := strings.CutPrefix("/"+n.look.store, strings.TrimSuffix(at, "/"))
	if !within || rest != "" && rest[0] != '/' {
		return ""
	}
	return as + rest
}
