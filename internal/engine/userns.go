// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/mount"
	"strata/internal/overlay"
)

// Each container in a user namespace of its own has one of these ranges of host
// ids for as long as it runs: 4,094 ranges where systemd leaves ids unused
// (systemd, UIDS-GIDS.md), out of the way of useradd(8) and of subordinate ids.
// What is on disk does not change: layers and upperdir are mounted with the ids
// mapped.
const (
	idRangeSize  = 1 << 16
	firstIDRange = 0x70000000
	idRanges     = (0x7ffe0000 - firstIDRange) / idRangeSize
)

// idRangesFile is locked byte by byte, one for each range that is in use on
// this host, by whichever store.
const idRangesFile = "/run/strata/id-ranges"

// An idRange is a range in use. Close gives it back.
type idRange struct {
	first uint32
	lock  *durable.ByteLock
}

func (r *idRange) Close() error {
	if r == nil {
		return nil
	}
	return r.lock.Close()
}

// takeIDRange finds a range that nobody uses, beginning anywhere.
func takeIDRange() (*idRange, error) {
	f, err := openIDRanges()
	if err != nil {
		return nil, fmt.Errorf("take a range of ids: %w", err)
	}
	start := rand.IntN(idRanges)
	for i := range idRanges {
		n := (start + i) % idRanges
		lock, err := durable.TryByte(f, int64(n))
		if err == nil {
			return &idRange{first: firstIDRange + uint32(n)*idRangeSize, lock: lock}, nil
		}
		if !errors.Is(err, durable.ErrLocked) {
			return nil, errors.Join(fmt.Errorf("take a range of ids: %w", err), f.Close())
		}
	}
	return nil, errors.Join(fmt.Errorf("take a range of ids: all %d are in use by containers; use --userns host", idRanges), f.Close())
}

func openIDRanges() (*os.File, error) {
	f, err := os.OpenFile(idRangesFile, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(idRangesFile), 0o700); err == nil {
			f, err = os.OpenFile(idRangesFile, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	return f, err
}

// mappings are the lines of the container's id maps, for a specification.
func (r *idRange) mappings() []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: r.first, Size: idRangeSize}}
}

// takeIDs gives a container that wants a user namespace its range of ids; nil
// without one.
func takeIDs(r *container.Record) (*idRange, error) {
	if r.Host.UserNS != container.UserNSAuto {
		return nil, nil
	}
	return takeIDRange()
}

// useIDs puts a container's ids into its specification.
func useIDs(s *specs.Spec, ids *idRange) {
	if ids == nil {
		return
	}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids.mappings(), ids.mappings()
}

// mapIDs replaces the directories of a stack by the same ones in mounts that map
// ids. Those of the container, in its directory dir, stand in one mount, as
// overlay wants; the caller closes it when the stack is mounted.
func mapIDs(lower lowers, upper, work **os.File, dir string, userns *os.File) (own *os.File, err error) {
	for i, f := range lower {
		if lower[i], err = mapped(f, userns); err != nil {
			lower[i] = f
			return nil, err
		}
		f.Close()
	}
	parent, err := linux.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if own, err = mapped(parent, userns); err != nil {
		return nil, err
	}
	for _, f := range []**os.File{upper, work} {
		fd, err := linux.OpenBeneath(int(own.Fd()), filepath.Base((*f).Name()), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, errors.Join(&os.PathError{Op: "open", Path: (*f).Name(), Err: err}, own.Close())
		}
		(*f).Close()
		*f = os.NewFile(uintptr(fd), (*f).Name())
	}
	return own, nil
}

// mapped is a detached mount of f with ids mapped. The caller closes it.
func mapped(f, userns *os.File) (*os.File, error) {
	m, err := mount.CloneFile(f, false)
	if err != nil {
		return nil, err
	}
	if err := mount.SetIDMap(m, userns, false); err != nil {
		err = errors.Join(err, m.Close())
		if errors.Is(err, unix.EINVAL) {
			return nil, fmt.Errorf("%w: its filesystem cannot map ids; use --userns host", err)
		}
		return nil, err
	}
	return m, nil
}

// mount mounts a stack, by the container's root if it has ids of its own: who
// mounts an overlay is who makes its workdir, and our root has no id there.
func (r *idRange) mount(s overlay.Stack) (root *os.File, err error) {
	if r == nil {
		return s.Mount()
	}
	err = linux.AsFilesystemUser(r.first, r.first, func() error {
		s.Detached = true
		if root, err = s.Mount(); err != nil {
			return fmt.Errorf("%w; if the kernel cannot stack layers with mapped ids (Linux 6.13 can), use --userns host", err)
		}
		return nil
	})
	return root, err
}
