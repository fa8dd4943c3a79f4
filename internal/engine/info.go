// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/mount"
	"strata/internal/overlay"
)

// Info describes the store and what the kernel offers.
type Info struct {
	Root       string
	Format     int
	LayerForm  string // how layers are stored
	Filesystem string // that the store is on
	Images     int
	Containers int
	Running    int
	Kernel     string
	Rootless   bool
	Features   []Feature
}

// A Feature is something of the kernel that was found present or not by trying.
type Feature struct {
	Name    string
	Present bool
	Note    string `json:",omitempty"`
}

// Info probes the kernel by trying each feature once.
func (e *Engine) Info() (Info, error) {
	images, err := e.images.All()
	if err != nil {
		return Info{}, err
	}
	entries, err := e.containers.List()
	if err != nil {
		return Info{}, err
	}
	i := Info{
		Root: e.root, Format: 1, LayerForm: "directory", Filesystem: filesystem(e.root),
		Images: len(images), Containers: len(entries), Kernel: kernel(), Rootless: e.ids != nil,
		Features: e.features(),
	}
	for _, c := range entries {
		if c.State.Running() {
			i.Running++
		}
	}
	return i, nil
}

func (e *Engine) features() []Feature {
	features := []Feature{
		{"New mount API", tries(e.fsopen), "fsopen(2), Linux 5.2"},
		{"mount_setattr", tries(e.setattr), "Linux 5.12"},
		{"User namespaces", exists("/proc/self/ns/user"), ""},
		e.cgroupFeature(),
	}
	way, err := e.overlayWay()
	return append([]Feature{{"Overlay filesystem", err == nil, way}}, features...)
}

func tries(f func() error) bool { return f() == nil }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// overlayWay is how layers are named to the kernel here.
func (e *Engine) overlayWay() (string, error) {
	empty, err := e.store.Dir("empty")
	if err != nil {
		return "", err
	}
	defer empty.Close()
	other, err := e.store.Dir("names")
	if err != nil {
		return "", err
	}
	defer other.Close()
	return overlay.Stack{Lowers: []*os.File{other}, Empty: empty, UserXattr: e.marks.UserXattr}.Way()
}

func (e *Engine) fsopen() error {
	f, err := mount.New("tmpfs", nil, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func (e *Engine) setattr() error {
	f, err := mount.New("tmpfs", nil, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return mount.SetAttr(f, unix.MOUNT_ATTR_RDONLY, 0, false)
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// filesystems are the names of some magic numbers (statfs(2)).
var filesystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs",
}

func filesystem(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "unknown"
	}
	if name, ok := filesystems[int64(st.Type)]; ok {
		return name
	}
	return fmt.Sprintf("%#x", st.Type)
}
