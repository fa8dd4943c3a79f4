// SPDX-License-Identifier: Apache-2.0

// Package cgroup makes the control groups of containers: limits, freezing,
// counting and ending what is in them, with version 2 (one hierarchy,
// Documentation/admin-guide/cgroup-v2.rst) and version 1 (a hierarchy for each
// controller, Documentation/admin-guide/cgroup-v1).
//
// A cgroup is directories: making one is mkdir, setting a limit is writing a
// file, and it is gone with rmdir once no process is in it. Nothing here is kept
// in memory that the kernel does not know: a path is all it takes to find a
// cgroup again.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// A System is where cgroups are mounted, and of which version.
type System struct {
	// Version is 2, or 1 with what is left of 2 beside it, or 0 for none.
	Version int
	// Root is the one hierarchy, or the directory that has those of version 1.
	Root string
}

// mountPoint is where every distribution has it.
const mountPoint = "/sys/fs/cgroup"

// Here are the cgroups of this machine, which are looked for once.
var Here = sync.OnceValue(look)

func look() System {
	switch {
	case exists(mountPoint + "/cgroup.controllers"):
		return System{2, mountPoint}
	case slices.ContainsFunc(controllers1, func(c string) bool { return exists(mountPoint + "/" + c + "/cgroup.procs") }):
		return System{1, mountPoint}
	}
	return System{}
}

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

// controllers1 are those of version 1 that a limit, a statistic or freezing
// needs. Some may share a hierarchy: their names are links to one directory.
var controllers1 = []string{
	"memory", "cpu", "cpuset", "pids", "blkio", "freezer", "cpuacct", "hugetlb", "net_cls", "net_prio", "rdma",
}

// A Group is one cgroup: a directory, or with version 1 one of the same name in
// the hierarchy of each controller that has been needed.
type Group struct {
	system System
	path   string   // absolute, of the hierarchy's root
	made   []string // directories made here, those above others first
	dir    *os.File // version 2: for the clone that begins in it
}

// Open refers to the cgroup at path, which need not exist. Nothing has to be
// closed.
func (s System) Open(path string) *Group { return &Group{system: s, path: path} }

// Create makes the cgroup at path for the limits r, which are not set yet. What
// is missing above it is made too, and removed with it when nothing else is in
// it. An empty cgroup that is there already is made anew. Close and Remove must
// follow.
func (s System) Create(path string, r *specs.LinuxResources) (_ *Group, err error) {
	g := s.Open(path)
	if err := s.check(path, r); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.unmake())
		}
	}()
	if s.Version == 2 {
		if err := g.create(s.Root, needed2(r)); err != nil {
			return nil, err
		}
		g.dir, err = linux.OpenDir(s.Root + path)
		return g, err
	}
	for _, controller := range g.needed1(r) {
		if err := g.create1(controller); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// check refuses a path that leads elsewhere, and limits that cannot be.
func (s System) check(path string, r *specs.LinuxResources) error {
	switch {
	case s.Version == 0:
		return errors.New("make a cgroup: none are mounted; mount cgroup2 on " + mountPoint)
	case CheckPath(path) != nil:
		return CheckPath(path)
	case r == nil:
		return nil
	}
	_, err := s.settings(r)
	return err
}

// Prefix begins the names of the cgroups of a store's containers: who finds one
// knows whose it is. dev and ino are those of the store's directory.
func Prefix(dev, ino uint64) string { return fmt.Sprintf("strata-%x-%x-", dev, ino) }

// idDigits is how much of a container's ID is in the name of its cgroup.
const idDigits = 12

// Name is that of the cgroup of the container id.
func Name(prefix, id string) string { return prefix + id[:idDigits] }

// CheckPath refuses what is no absolute and plain path of a cgroup below the
// root.
func CheckPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || strings.ContainsAny(p, "\x00\n") {
		return fmt.Errorf("cgroup %q: it is no absolute path of a cgroup", p)
	}
	return nil
}

// create makes the directories of the path below root, and gives the last one
// the controllers of version 2 in need.
func (g *Group) create(root string, need []string) error {
	steps := strings.Split(g.path[1:], "/")
	dir := root
	for i, step := range steps {
		if err := g.enable(dir, need); err != nil {
			return err
		}
		dir += "/" + step
		if err := g.mkdir(dir, i == len(steps)-1); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes one directory. The last of the path must be new: what is left of
// somebody else's limits is not ours.
func (g *Group) mkdir(dir string, last bool) error {
	err := unix.Mkdir(dir, 0o755)
	if err == unix.EEXIST && last && unix.Rmdir(dir) == nil {
		err = unix.Mkdir(dir, 0o755)
	}
	switch {
	case err == nil:
		g.made = append(g.made, dir)
		return nil
	case err == unix.EEXIST && !last:
		return nil
	case err == unix.EEXIST:
		return fmt.Errorf("make cgroup %s: there are processes in it; end them or choose another", dir)
	}
	if err == unix.EACCES || err == unix.EPERM {
		return fmt.Errorf("make cgroup %s: %w: an ordinary user has limits only in a cgroup of version 2 that is delegated to him, by systemd for example; run it without limits, or as root", dir, err)
	}
	return &Error{Op: "make cgroup " + dir, Errno: err}
}

// unmake takes back what Create has made.
func (g *Group) unmake() error {
	err := g.Close()
	for _, dir := range slices.Backward(g.made) {
		unix.Rmdir(dir)
	}
	return err
}

// Path is the cgroup's path in its hierarchy.
func (g *Group) Path() string { return g.path }

// File is the open directory with which a clone begins in the cgroup, or nil
// with version 1: then Add must follow. It is the cgroup's until Close.
func (g *Group) File() *os.File { return g.dir }

// Close closes the directory. The cgroup stays.
func (g *Group) Close() error {
	dir := g.dir
	if g.dir = nil; dir == nil {
		return nil
	}
	return dir.Close()
}

// Exists reports whether the cgroup has been made.
func (g *Group) Exists() bool { return len(g.dirs()) > 0 }

// dirs are the cgroup's directories that there are.
func (g *Group) dirs() (dirs []string) {
	for _, dir := range g.places() {
		if exists(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// places are the cgroup's possible directories.
func (g *Group) places() []string {
	if g.system.Version == 2 {
		return []string{g.system.Root + g.path}
	}
	var dirs []string
	for _, controller := range controllers1 {
		dirs = append(dirs, g.dir1(controller))
	}
	return dirs
}

// dirOf is the cgroup's directory with the files of controller.
func (g *Group) dirOf(controller string) string {
	if g.system.Version == 2 {
		return g.system.Root + g.path
	}
	return g.dir1(controller)
}
