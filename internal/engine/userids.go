// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// userIDs are the ids that exist in the user namespace that we are in. Nil
// stands for the first namespace, where all do.
type userIDs struct {
	uid, gid []linux.IDMap
}

// ownIDs reads the maps of the user namespace that we are in.
func ownIDs() (*userIDs, error) {
	if os.Geteuid() == 0 && !linux.InUserNamespace() {
		return nil, nil
	}
	uid, err := linux.ReadIDMaps("/proc/self/uid_map")
	if err != nil {
		return nil, err
	}
	gid, err := linux.ReadIDMaps("/proc/self/gid_map")
	if err != nil {
		return nil, err
	}
	return &userIDs{uid: uid, gid: gid}, nil
}

// single reports whether there is one id only: files can belong to nobody else,
// and groups cannot be set.
func (i *userIDs) single() bool {
	return i != nil && (os.Geteuid() != 0 || count(i.uid) == 1 || count(i.gid) == 1)
}

func count(maps []linux.IDMap) (n uint64) {
	for _, m := range maps {
		n += uint64(m.Size)
	}
	return n
}

func number(maps []linux.IDMap) string {
	if n := count(maps); n != 1 {
		return fmt.Sprintf("%d ids", n)
	}
	return "one id, 0"
}

// hasGroup reports whether group id gid exists.
func (i *userIDs) hasGroup(gid uint32) bool {
	if i == nil {
		return true
	}
	_, ok := linux.OutsideID(i.gid, gid)
	return ok
}

// check refuses a user of whom an id does not exist.
func (i *userIDs) check(u user) error {
	if i == nil {
		return nil
	}
	if _, ok := linux.OutsideID(i.uid, u.uid); !ok {
		return fmt.Errorf("user id %d is not in the map of this user namespace, which has %s: %s", u.uid, number(i.uid), moreIDs("subuid"))
	}
	for _, gid := range append([]uint32{u.gid}, u.groups...) {
		if !i.hasGroup(gid) {
			return fmt.Errorf("group id %d is not in the map of this user namespace, which has %s: %s", gid, number(i.gid), moreIDs("subgid"))
		}
	}
	return nil
}

// mountHint explains why a directory of the host is no root filesystem here: the
// kernel lets nobody look beneath the mounts of another user's namespace
// (mount_namespaces(7), "Restrictions").
func (i *userIDs) mountHint(rootfs string, err error) error {
	if i == nil || rootfs == "" || !errors.Is(err, unix.EINVAL) {
		return mountHint(err)
	}
	return fmt.Errorf("rootfs %s: mounts beneath it cannot be left out in a user namespace; name a directory without: %w", rootfs, err)
}

// moreIDs says how a user gets more ids (subuid(5)).
func moreIDs(kind string) string {
	return "give yourself a larger range in /etc/" + kind + " (as root: usermod --add-" + kind + "s FIRST-LAST NAME), with newuidmap and newgidmap installed"
}

// adapt changes a container's specification to what can be had in the user
// namespace that we are in. It has none of its own, which would bring its ids.
func (i *userIDs) adapt(s *specs.Spec) {
	if i == nil {
		return
	}
	if i.single() && s.Process != nil {
		s.Process.User.AdditionalGids = nil // there is no setgroups(2)
	}
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return isHosts(s, m) && !exists(m.Destination) })
	for n := range s.Mounts {
		m := &s.Mounts[n]
		if m.Type == "devpts" && !i.hasGroup(ttyGroup) {
			m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return strings.HasPrefix(o, "gid=") })
		}
		if isHosts(s, *m) {
			*m = specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Destination, Options: append([]string{"rbind"}, m.Options...)}
		}
	}
}

// ttyGroup is the group of terminals everywhere (devpts in the kernel's
// Documentation/filesystems/devpts.rst, login.defs(5) TTYGROUP).
const ttyGroup = 5

// showsNamespace are the filesystems that show a namespace: a new one can be
// mounted by who has capabilities over that, and of the host's namespace there is
// the host's own mount.
var showsNamespace = map[string]specs.LinuxNamespaceType{
	"proc": specs.PIDNamespace, "sysfs": specs.NetworkNamespace, "mqueue": specs.IPCNamespace,
}

// isHosts reports whether m shows a namespace of the host.
func isHosts(s *specs.Spec, m specs.Mount) bool {
	ns, ok := showsNamespace[m.Type]
	return ok && !hasNamespace(s, ns)
}

func hasNamespace(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == t })
}
