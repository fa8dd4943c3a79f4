// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/mount"
)

// flags of a mount in both of the kernel's spellings: mount(2) and
// mount_setattr(2).
type mountFlag struct{ ms, attr uint64 }

var mountFlags = map[string]mountFlag{
	"ro":          {unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
	"nosuid":      {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
	"nodev":       {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
	"noexec":      {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
	"noatime":     {unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME},
	"nodiratime":  {unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
	"strictatime": {unix.MS_STRICTATIME, unix.MOUNT_ATTR_STRICTATIME},
	"relatime":    {unix.MS_RELATIME, unix.MOUNT_ATTR_RELATIME},
	"nosymfollow": {unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// cleared are the options that take a flag away, as mount(8) has them.
var cleared = map[string]string{
	"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "atime": "noatime", "diratime": "nodiratime",
	"nostrictatime": "strictatime", "norelatime": "relatime", "symfollow": "nosymfollow",
}

// mountOptions are the options of one mount of a specification, sorted out.
type mountOptions struct {
	ms, attr    uint64
	recursive   bool // rbind
	bind        bool
	idmap       bool // ids as the container's user namespace maps them
	propagation uint64
	data        []string // for the filesystem
}

var propagations = map[string]uint64{
	"private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE,
	"slave": unix.MS_SLAVE, "rslave": unix.MS_SLAVE,
	"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED,
	"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE,
}

func parseOptions(options []string) mountOptions {
	o := mountOptions{propagation: unix.MS_PRIVATE}
	for _, option := range options {
		option = flagName(option)
		flag, isFlag := mountFlags[option]
		undo, isCleared := cleared[option]
		propagation, isPropagation := propagations[option]
		switch {
		case isFlag:
			o.ms |= flag.ms
			o.attr |= flag.attr
		case isCleared:
			o.ms &^= mountFlags[undo].ms
			o.attr &^= mountFlags[undo].attr
		case isPropagation:
			o.propagation = propagation
		case option == "bind":
			o.bind = true
		case option == "idmap" || option == "ridmap": // runtime-spec, config.md, "Linux mount options"
			o.idmap = true
		case option == "rbind":
			o.bind, o.recursive = true, true
		case option == "defaults", option == "silent", option == "loud": // nothing to a new mount
		default:
			o.data = append(o.data, option)
		}
	}
	return o
}

// flagName takes the "r" from options for a whole tree ("rro", runtime-spec,
// config.md, "Linux mount options"): a recursive bind mount has all of its
// options for the whole tree, and another has no tree.
func flagName(option string) string {
	name, recursive := strings.CutPrefix(option, "r")
	_, isFlag := mountFlags[name]
	_, isCleared := cleared[name]
	if recursive && (isFlag || isCleared) {
		return name
	}
	return option
}

// checkOptions refuses what a mount would not do, or not know of.
func checkOptions(m specs.Mount) error {
	o := parseOptions(m.Options)
	for _, option := range o.data {
		if o.bind || slices.Contains([]string{"remount", "move", "idmap", "ridmap", "tmpcopyup"}, option) {
			return &UnsupportedError{Field: "mounts: option " + option + " on", Value: m.Destination}
		}
	}
	if !o.bind && o.propagation != unix.MS_PRIVATE {
		return &UnsupportedError{Field: "mounts: propagation without bind on", Value: m.Destination}
	}
	return nil
}

// fsOptions are the filesystem's own options for the new mount API, with what
// it is called in the mount table.
func (o mountOptions) fsOptions(source string) []mount.Option {
	var options []mount.Option
	if source != "" {
		options = append(options, mount.Option{Key: "source", Value: source})
	}
	for _, d := range o.data {
		key, value, _ := strings.Cut(d, "=")
		options = append(options, mount.Option{Key: key, Value: value})
	}
	return options
}
