// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// An UnsupportedError names what a specification asks for and this sandbox
// does not do.
type UnsupportedError struct {
	Field string // as in the JSON document: "linux.seccomp"
	Value string
}

func (e *UnsupportedError) Error() string {
	if e.Value == "" {
		return "runtime specification: " + e.Field + " is not supported"
	}
	return "runtime specification: " + e.Field + " " + e.Value + " is not supported"
}

// check refuses every field that no step carries out, and values that would
// mislead the kernel.
func check(s *specs.Spec) error {
	if s.Process == nil || len(s.Process.Args) == 0 {
		return &UnsupportedError{Field: "process.args", Value: "being empty"}
	}
	for _, unsupported := range []struct {
		set   bool
		field string
	}{
		{s.Hooks != nil, "hooks"},
		{s.Process.ApparmorProfile != "", "process.apparmorProfile"},
		{s.Process.SelinuxLabel != "", "process.selinuxLabel"},
		{s.Process.ExecCPUAffinity != nil, "process.execCPUAffinity"},
	} {
		if unsupported.set {
			return &UnsupportedError{Field: unsupported.field}
		}
	}
	if err := checkStrings(s.Process); err != nil {
		return err
	}
	if err := checkLinux(s.Linux); err != nil {
		return err
	}
	if err := checkProcess(s); err != nil {
		return err
	}
	return checkMounts(s.Mounts)
}

func checkLinux(l *specs.Linux) error {
	if l == nil {
		return &UnsupportedError{Field: "linux", Value: "being absent"}
	}
	for _, unsupported := range []struct {
		set   bool
		field string
	}{
		{l.MountLabel != "", "linux.mountLabel"},
		{l.IntelRdt != nil, "linux.intelRdt"},
		{len(l.NetDevices) > 0, "linux.netDevices"},
		{l.MemoryPolicy != nil, "linux.memoryPolicy"},
		{len(l.TimeOffsets) > 0, "linux.timeOffsets"},
	} {
		if unsupported.set {
			return &UnsupportedError{Field: unsupported.field}
		}
	}
	if err := checkMappings(l); err != nil {
		return err
	}
	if err := checkCgroup(l); err != nil {
		return err
	}
	for _, masked := range append(slices.Clone(l.MaskedPaths), l.ReadonlyPaths...) {
		if clean := path.Clean(masked); clean != masked || !beneath(clean, "/proc") && !beneath(clean, "/sys") {
			return &UnsupportedError{Field: "linux.maskedPaths or readonlyPaths:", Value: masked}
		}
	}
	for _, ns := range l.Namespaces {
		if _, known := namespaces[ns.Type]; !known || ns.Path != "" && !joinable(ns) {
			return &UnsupportedError{Field: "linux.namespaces", Value: string(ns.Type) + " " + ns.Path}
		}
	}
	return nil
}

func checkMounts(mounts []specs.Mount) error {
	for _, m := range mounts {
		if !path.IsAbs(m.Destination) || path.Clean(m.Destination) == "/" {
			return &UnsupportedError{Field: "mounts: destination", Value: strings.TrimSpace(m.Destination)}
		}
		if !placeable(m) {
			return &UnsupportedError{Field: "mounts: " + m.Type + " on", Value: m.Destination}
		}
		if err := checkOptions(m); err != nil {
			return err
		}
		if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
			return &UnsupportedError{Field: "mounts: uidMappings"}
		}
	}
	return nil
}

// placeable holds /proc and /sys to their own filesystems, new or the host's:
// later steps mask paths beneath them by name.
func placeable(m specs.Mount) bool {
	bind := parseOptions(m.Options).bind
	dest := path.Clean(m.Destination)
	switch {
	case beneath(dest, "/proc"):
		return dest == "/proc" && (m.Type == "proc" && !bind || bind && m.Source == dest)
	case beneath(dest, "/sys"):
		return dest == "/sys" && (m.Type == "sysfs" && !bind || bind && m.Source == dest)
	case bind:
		return dest != "/dev"
	}
	return slices.Contains([]string{"tmpfs", "devpts", "mqueue"}, m.Type)
}

// checkStrings refuses a NUL, at which the kernel would end a string early.
func checkStrings(p *specs.Process) error {
	for _, s := range append(append([]string{p.Cwd}, p.Args...), p.Env...) {
		if strings.IndexByte(s, 0) >= 0 {
			return &UnsupportedError{Field: "process: a NUL byte", Value: "in an argument or variable"}
		}
	}
	return nil
}
