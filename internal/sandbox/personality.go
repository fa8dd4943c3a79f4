// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// personalities are the execution domains of a specification
// (include/uapi/linux/personality.h), which has no flags yet.
var personalities = map[specs.LinuxPersonalityDomain]uintptr{specs.PerLinux: 0x0000, specs.PerLinux32: 0x0008}

// rootPropagations are what the mount of the root may be to those made of it in
// namespaces inside. Of the host's mounts none is its peer, so a slave has no
// master and is private.
var rootPropagations = map[string]uintptr{
	"": 0, "private": 0, "rprivate": 0, "slave": 0, "rslave": 0,
	"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED | unix.MS_REC,
	"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
}

func checkPersonality(l *specs.Linux) error {
	if p := l.Personality; p != nil {
		if _, known := personalities[p.Domain]; !known || len(p.Flags) > 0 {
			return &UnsupportedError{Field: "linux.personality", Value: fmt.Sprint(p.Domain, " ", p.Flags)}
		}
	}
	if _, known := rootPropagations[l.RootfsPropagation]; !known {
		return &UnsupportedError{Field: "linux.rootfsPropagation", Value: l.RootfsPropagation}
	}
	return nil
}

// processSteps are what a process is given beside its identity.
func processSteps(s *specs.Spec) []step {
	var steps []step
	if p := s.Linux.Personality; p != nil {
		steps = append(steps, step{
			prepare: func(prep *preparation) error {
				prep.call("set personality "+string(p.Domain), unix.SYS_PERSONALITY, personalities[p.Domain])
				return nil
			},
		})
	}
	if mask := s.Process.User.Umask; mask != nil {
		steps = append(steps, step{
			lines: line(fmt.Sprintf("umask %04o", *mask), "what new files' modes lack"),
			prepare: func(prep *preparation) error {
				prep.call("set umask", unix.SYS_UMASK, uintptr(*mask))
				return nil
			},
		})
	}
	return steps
}

// setarch is what gives the shell of Explain, and with it the program, its
// personality.
func setarch(s *specs.Spec) string {
	switch p := s.Linux.Personality; {
	case p == nil:
		return ""
	case p.Domain == specs.PerLinux32:
		return " setarch linux32"
	}
	return " setarch linux64"
}

// propagationSteps come when the root is what "." names.
func propagationSteps(s *specs.Spec) []step {
	flags, name := rootPropagations[s.Linux.RootfsPropagation], s.Linux.RootfsPropagation
	if flags == 0 {
		return nil
	}
	return []step{{
		lines: line("mount --make-"+name+" .", "to mount namespaces made inside"),
		prepare: func(p *preparation) error {
			p.call("make the root "+name, unix.SYS_MOUNT, 0, p.list.String("."), 0, flags)
			return nil
		},
	}}
}
