// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/spawn"
)

// MapIDs writes the id maps of the child's user namespace and lets the child go
// on in it. It returns the namespace, with which the root filesystem is to be
// mounted and which stays the child's; nil if there is none. Between Begin and
// Plan.Start it must be called once.
func (c *Child) MapIDs() (*os.File, error) {
	if !hasNamespace(c.spec, specs.UserNamespace) {
		return nil, nil
	}
	p, err := c.Process()
	if err != nil {
		return nil, err
	}
	dir := "/proc/" + strconv.Itoa(p.Pid)
	err = errors.Join(
		writeIDMap(dir+"/uid_map", c.spec.Linux.UIDMappings),
		writeIDMap(dir+"/gid_map", c.spec.Linux.GIDMappings))
	if err != nil {
		return nil, err
	}
	fd, err := linux.OpenAt(unix.AT_FDCWD, dir+"/ns/user", unix.O_RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "user namespace of the child", Err: err}
	}
	c.userns = os.NewFile(uintptr(fd), "user namespace")
	var next spawn.List
	becomeRoot(&next)
	c.prepareHost(&next)
	return c.userns, c.Next(&next)
}

// checkMappings holds mappings and a new user namespace together: without the
// one the other means nothing.
func checkMappings(l *specs.Linux) error {
	mapped := len(l.UIDMappings) > 0 && len(l.GIDMappings) > 0
	own := slices.ContainsFunc(l.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.UserNamespace && ns.Path == ""
	})
	switch {
	case own && !mapped:
		return &UnsupportedError{Field: "linux.namespaces", Value: "user without linux.uidMappings and gidMappings"}
	case !own && len(l.UIDMappings)+len(l.GIDMappings) > 0:
		return &UnsupportedError{Field: "linux.uidMappings and gidMappings", Value: "without a new user namespace"}
	}
	return nil
}

func writeIDMap(path string, mappings []specs.LinuxIDMapping) error {
	text := linux.FormatIDMaps(idMaps(mappings))
	if err := os.WriteFile(path, text, 0); err != nil {
		return fmt.Errorf("map ids %s: %w", strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", "), errors.Unwrap(err))
	}
	return nil
}

// becomeRoot makes the child root of its user namespace: who enters one has no
// id that the map knows.
func becomeRoot(l *spawn.List) {
	l.Add(
		newCall("become root's group", unix.SYS_SETRESGID, 0, 0, 0),
		newCall("become root", unix.SYS_SETRESUID, 0, 0, 0),
		spawn.DieWithParent(), // a change of ids clears it (prctl(2))
	)
}

// outside returns what an id of the container is for a caller of ours.
func outside(mappings []specs.LinuxIDMapping, id uint32) (uint32, bool) {
	if len(mappings) == 0 {
		return id, true
	}
	return linux.OutsideID(idMaps(mappings), id)
}

func idMaps(mappings []specs.LinuxIDMapping) (maps []linux.IDMap) {
	for _, m := range mappings {
		maps = append(maps, linux.IDMap{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size})
	}
	return maps
}

// asRoot calls f as who makes files for the container's root: where ids are
// mapped, ours has none that the container's filesystems could store.
func (c *Child) asRoot(f func() error) error {
	uid, isUser := outside(c.spec.Linux.UIDMappings, 0)
	gid, isGroup := outside(c.spec.Linux.GIDMappings, 0)
	if c.userns == nil || !isUser || !isGroup {
		return f()
	}
	return linux.AsFilesystemUser(uid, gid, f)
}

// ownedOptions are the options of a filesystem that we mount for a container,
// with uid and gid as we see them.
func ownedOptions(l *specs.Linux, options []string) ([]string, error) {
	if len(l.UIDMappings) == 0 {
		return options, nil
	}
	owned := slices.Clone(options)
	for i, option := range owned {
		name, value, _ := strings.Cut(option, "=")
		mappings := l.UIDMappings
		switch name {
		case "uid":
		case "gid":
			mappings = l.GIDMappings
		default:
			continue
		}
		id, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("option %s: it is no number", option)
		}
		host, ok := outside(mappings, uint32(id))
		if !ok {
			return nil, fmt.Errorf("option %s: the container's user namespace has no such id", option)
		}
		owned[i] = name + "=" + strconv.FormatUint(uint64(host), 10)
	}
	return owned, nil
}

// mapBind lets a bind mount show ids as they are in the container: the host's
// root is root inside too, but for this mount only.
func (p *preparation) mapBind(f *os.File, recursive bool) error {
	if p.child.userns == nil {
		return errors.New("option idmap: the container has no user namespace of its own")
	}
	err := mount.SetIDMap(f, p.child.userns, recursive)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: its filesystem cannot map ids; use --userns host", err)
	}
	return err
}
