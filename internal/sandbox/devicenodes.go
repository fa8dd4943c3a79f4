// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
)

// deviceTypes are the file types of nodes, with the directory of sysfs that
// knows them by number. A fifo, "p", is no device of the host's.
var deviceTypes = map[string]struct {
	mode  uint32
	sysfs string
}{
	"c": {unix.S_IFCHR, "char"}, "u": {unix.S_IFCHR, "char"}, "b": {unix.S_IFBLK, "block"},
}

func checkDevices(devices []specs.LinuxDevice) error {
	for _, d := range devices {
		if _, known := deviceTypes[d.Type]; !known || !path.IsAbs(d.Path) || d.Major < 0 || d.Minor < 0 ||
			beneath(d.Path, "/proc") || beneath(d.Path, "/sys") || path.Clean(d.Path) == "/" {
			return &UnsupportedError{Field: "linux.devices", Value: fmt.Sprintf("%s of type %q, %d:%d", d.Path, d.Type, d.Major, d.Minor)}
		}
	}
	return nil
}

// deviceSteps show devices of the host inside, as the default ones are shown: a
// bind mount of the host's own node over a file of a nodev filesystem. Mode and
// owner are the node's, so a specification that wants others is refused.
func deviceSteps(s *specs.Spec) []step {
	var steps []step
	for _, d := range s.Linux.Devices {
		if isDefaultDevice(s, d) {
			continue
		}
		steps = append(steps, step{
			lines:   func() []Line { return shellDevice(d) },
			prepare: func(p *preparation) error { return p.device(d) },
		})
	}
	return steps
}

// isDefaultDevice is true of what devSteps have made already.
func isDefaultDevice(s *specs.Spec, d specs.LinuxDevice) bool {
	for _, known := range devices {
		if d.Type != "b" && d.Path == "/dev/"+known.name && d.Major == int64(known.major) && d.Minor == int64(known.minor) {
			return mountsDev(s)
		}
	}
	return false
}

func mountsDev(s *specs.Spec) bool {
	for _, m := range s.Mounts {
		if m.Destination == "/dev" && m.Type == "tmpfs" {
			return true
		}
	}
	return false
}

func shellDevice(d specs.LinuxDevice) []Line {
	node, err := hostNode(d)
	if err != nil {
		return []Line{{": " + Quote(err.Error()), "this would fail"}}
	}
	defer node.Close()
	at := Quote("." + d.Path)
	return []Line{
		{"mkdir -p " + Quote("."+path.Dir(d.Path)) + "; : >> " + at, "where it goes"},
		{"mount --bind " + Quote(node.Name()) + " " + at, "a device of the host, as asked for"},
	}
}

func (p *preparation) device(d specs.LinuxDevice) error {
	node, err := hostNode(d)
	if err != nil {
		return err
	}
	p.keep(node)
	target, err := p.target(d.Path, false)
	if err != nil {
		return err
	}
	p.put(node, target, d.Path)
	return nil
}

// hostNode is a detached bind mount of the host's node for d: the one of the
// same path if that has the number, or else the one that the kernel names.
func hostNode(d specs.LinuxDevice) (*os.File, error) {
	node, err := verifiedNode(d, d.Path)
	if !errors.Is(err, errOtherDevice) && !errors.Is(err, os.ErrNotExist) {
		return node, err
	}
	name, err := deviceName(d)
	if err != nil {
		return nil, fmt.Errorf("device %s: the host has no %s device %d:%d", d.Path, deviceTypes[d.Type].sysfs, d.Major, d.Minor)
	}
	return verifiedNode(d, "/dev/"+name)
}

// deviceName is the name beneath /dev that the kernel has for a number
// (Documentation/admin-guide/sysfs-rules.rst; drivers/base/core.c, DEVNAME).
func deviceName(d specs.LinuxDevice) (string, error) {
	text, err := readSmall(fmt.Sprintf("/sys/dev/%s/%d:%d/uevent", deviceTypes[d.Type].sysfs, d.Major, d.Minor))
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(text, "\n") {
		if name, found := strings.CutPrefix(line, "DEVNAME="); found {
			return name, nil
		}
	}
	return "", os.ErrNotExist
}

var errOtherDevice = errors.New("the host's node is another device")

// verifiedNode clones the mount of a node and looks at what it got: the name may
// be anything's by then (CVE-2025-31133).
func verifiedNode(d specs.LinuxDevice, name string) (*os.File, error) {
	node, err := mount.Clone(name, false)
	if err != nil {
		return nil, err
	}
	st, err := linux.Fstat(int(node.Fd()))
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != deviceTypes[d.Type].mode || st.Rdev != unix.Mkdev(uint32(d.Major), uint32(d.Minor)):
		err = errOtherDevice
	case d.FileMode != nil && uint32(d.FileMode.Perm()) != st.Mode&0o777:
		err = &UnsupportedError{Field: "linux.devices", Value: fmt.Sprintf("%s: fileMode %#o where the host has %#o", d.Path, d.FileMode.Perm(), st.Mode&0o777)}
	case d.UID != nil && *d.UID != st.Uid || d.GID != nil && *d.GID != st.Gid:
		err = &UnsupportedError{Field: "linux.devices", Value: fmt.Sprintf("%s: uid or gid other than the host's %d:%d", d.Path, st.Uid, st.Gid)}
	}
	if err != nil {
		node.Close()
		return nil, err
	}
	return node, nil
}
