// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
)

// mountSteps are the specification's mounts, in its order. Every target is
// found before any of them is attached.
func mountSteps(p *Plan) []step {
	var steps []step
	for _, m := range p.spec.Mounts {
		o := parseOptions(m.Options)
		switch {
		case o.bind:
			steps = append(steps, bindStep(m, o))
		case m.Type == "tmpfs" && m.Destination == "/dev":
			steps = append(steps, devSteps(m, o)...)
		case m.Type == "tmpfs" || m.Type == "devpts":
			steps = append(steps, detachedStep(m, o))
		default:
			steps = append(steps, namespaceStep(m))
		}
		if m.Type == "devpts" && p.spec.Process.Terminal {
			steps = append(steps, consoleStep(p.spec.Process))
		}
	}
	return steps
}

// shellMount is the line for mounting a filesystem on a path inside the root.
func shellMount(m specs.Mount, why string) []Line {
	at := Quote("." + m.Destination)
	options := ""
	if len(m.Options) > 0 {
		options = " -o " + Quote(strings.Join(m.Options, ","))
	}
	return []Line{
		{"mkdir -p " + at, "where it goes"},
		{fmt.Sprintf("mount -t %s%s %s %s", m.Type, options, Quote(m.Source), at), why},
	}
}

var whyMounted = map[string]string{
	"/proc":       "only the processes of this pid namespace",
	"/dev":        "an empty directory for devices, none of the host's",
	"/dev/pts":    "terminals of its own",
	"/dev/shm":    "POSIX shared memory",
	"/dev/mqueue": "message queues of this ipc namespace",
	"/sys":        "the network namespace's view, read-only",
}

func whyOf(m specs.Mount) string {
	if why, ok := whyMounted[m.Destination]; ok {
		return why
	}
	return "as asked for"
}

// namespaceStep is a filesystem that the child has mounted by now.
func namespaceStep(m specs.Mount) step {
	return step{
		lines: func() []Line { return shellMount(m, whyOf(m)) },
		prepare: func(prep *preparation) error {
			own := prep.child.ownMount(m.Destination)
			if own == nil {
				return fmt.Errorf("mount %s on %s: the child was begun without it", m.Type, m.Destination)
			}
			target, err := prep.directory(m.Destination)
			if err != nil {
				return err
			}
			prep.attach(own, target, m.Destination)
			prep.mounts = append(prep.mounts, prepared{path: m.Destination, sealed: true})
			return nil
		},
	}
}

// detachedStep is a filesystem that needs nothing of the child.
func detachedStep(m specs.Mount, o mountOptions) step {
	return step{
		lines: func() []Line { return shellMount(m, whyOf(m)) },
		prepare: func(prep *preparation) error {
			var err error
			if o.data, err = ownedOptions(prep.child.spec.Linux, o.data); err != nil {
				return fmt.Errorf("mount on %s: %w", m.Destination, err)
			}
			f, err := mount.New(m.Type, o.fsOptions(m.Source), int(o.attr))
			if err != nil {
				return fmt.Errorf("mount on %s: %w", m.Destination, err)
			}
			prep.keep(f)
			target, err := prep.directory(m.Destination)
			if err != nil {
				return err
			}
			prep.put(f, target, m.Destination)
			return nil
		},
	}
}

// directory is the target of a filesystem. What later steps name by its path
// must not be reached through a link.
func (p *preparation) directory(dest string) (*os.File, error) {
	if dest == "/proc" || dest == "/sys" || dest == "/dev" {
		return p.plainTarget(dest)
	}
	return p.target(dest, true)
}

// put adds the attachment of a detached mount and notes it.
func (p *preparation) put(m, target *os.File, dest string) {
	p.attach(m, target, dest)
	p.mounts = append(p.mounts, prepared{path: dest, root: m})
}

// bindStep shows a file or directory of the host inside.
func bindStep(m specs.Mount, o mountOptions) step {
	return step{
		lines:   func() []Line { return shellBind(m, o) },
		prepare: func(prep *preparation) error { return prep.bind(m, o) },
	}
}

func shellBind(m specs.Mount, o mountOptions) []Line {
	at := Quote("." + m.Destination)
	options := "bind"
	if o.recursive {
		options = "rbind"
	}
	lines := []Line{
		{fmt.Sprintf("[ -d %s ] && mkdir -p %s || { mkdir -p \"$(dirname %s)\"; : >> %s; }", Quote(m.Source), at, at, at), "a directory for a directory, a file for a file"},
		{fmt.Sprintf("mount -o %s %s %s", options, Quote(m.Source), at), "the host's own, seen inside"},
	}
	if o.attr != 0 {
		lines = append(lines, Line{fmt.Sprintf("mount -o remount,bind,%s %s", attrNames(o.attr), at), "and not more than that"})
	}
	return lines
}

func (p *preparation) bind(m specs.Mount, o mountOptions) error {
	f, err := cloneSource(m.Source, o.recursive)
	if err != nil {
		return fmt.Errorf("bind mount %s on %s: %w", m.Source, m.Destination, err)
	}
	p.keep(f)
	st, err := linux.Fstat(int(f.Fd()))
	if err != nil {
		return err
	}
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if err := mount.SetPropagation(f, o.propagation, o.recursive); err != nil {
		return fmt.Errorf("bind mount %s on %s: %w", m.Source, m.Destination, err)
	}
	if o.attr != 0 {
		if err := mount.SetAttr(f, o.attr, 0, o.recursive); err != nil {
			return fmt.Errorf("bind mount %s on %s: %w", m.Source, m.Destination, err)
		}
	}
	if o.idmap {
		if err := p.mapBind(f, o.recursive); err != nil {
			return fmt.Errorf("bind mount %s on %s: %w", m.Source, m.Destination, err)
		}
	}
	target, err := p.target(m.Destination, directory)
	if err != nil {
		return err
	}
	p.put(f, target, m.Destination)
	return nil
}

func attrNames(attr uint64) string {
	var names []string
	for _, name := range []string{"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"} {
		if attr&mountFlags[name].attr != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
