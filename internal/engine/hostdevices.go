// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/container"
)

// notShared are directories and names in /dev that hold no devices of the
// host's, or that a container has of its own (opencontainers/cgroups,
// devices.GetDevices).
var notShared = []string{"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"}

// hostDevices are the devices of the host that were asked for.
func hostDevices(i *container.Isolation) ([]specs.LinuxDevice, error) {
	asked := i.Devices
	if i.Privileged {
		asked = append([]container.Device{{Source: "/dev", Target: "/dev"}}, asked...)
	}
	var devices []specs.LinuxDevice
	for _, d := range asked {
		found, err := devicesBeneath(d)
		if err != nil {
			return nil, fmt.Errorf("--device %s: %w", d.Source, err)
		}
		for _, one := range found { // of two with one path inside the later counts
			devices = slices.DeleteFunc(devices, func(other specs.LinuxDevice) bool { return other.Path == one.Path })
			devices = append(devices, one)
		}
	}
	return devices, nil
}

// devicesBeneath is the device that d names, or all in the directory that it
// names. Links are followed only to what was named itself.
func devicesBeneath(d container.Device) ([]specs.LinuxDevice, error) {
	source, err := filepath.EvalSymlinks(d.Source)
	if err != nil {
		return nil, cause(err)
	}
	var found []specs.LinuxDevice
	err = filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return cause(err)
		}
		if source == "/dev" && slices.Contains(notShared, entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type()&fs.ModeDevice == 0 {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err == unix.ENOENT { // gone meanwhile
			return nil
		} else if err != nil {
			return err
		}
		found = append(found, device(path.Join(d.Target, name[len(source):]), &st))
		return nil
	})
	if err == nil && len(found) == 0 {
		err = errors.New("it is no device, and no directory with any")
	}
	return found, err
}

// cause leaves of an error the part that does not name the path again.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func device(inside string, st *unix.Stat_t) specs.LinuxDevice {
	kind := "c"
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		kind = "b"
	}
	return specs.LinuxDevice{Path: inside, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}
}
