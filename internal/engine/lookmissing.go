// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spelling"
)

// missing is the error for a path that cannot be found, with the names that may
// have been meant by the first component that is not there.
func (l *Look) missing(p string, err error) error {
	if !errors.Is(err, unix.ENOENT) {
		return l.fail(p, err)
	}
	dir := "/"
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		next := path.Join(dir, name)
		fd, openErr := linux.OpenInRoot(int(l.root.Fd()), next, unix.O_PATH, 0)
		if openErr == nil {
			unix.Close(fd)
			dir = next
			continue
		}
		return l.fail(p, fmt.Errorf("no such file or directory%s%s", l.dangling(next), spelling.Question(l.nearest(dir, name))))
	}
	return l.fail(p, err)
}

// dangling says of a link that points nowhere that it is there.
func (l *Look) dangling(p string) string {
	fd, err := linux.OpenInRoot(int(l.root.Fd()), p, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil || l.inStore(fd) {
		return ""
	}
	defer unix.Close(fd)
	target, err := readLink(fd, "")
	if err != nil {
		return ""
	}
	return fmt.Sprintf(": %s is a link to %s, which is not there", p, target)
}

// nearest finds the paths in dir that are close to name.
func (l *Look) nearest(dir, name string) (paths []string) {
	fd, err := linux.OpenInRoot(int(l.root.Fd()), dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Name != name {
			names = append(names, e.Name)
		}
	}
	for _, near := range spelling.Nearest(name, names) {
		paths = append(paths, path.Join(dir, near))
	}
	return paths
}
