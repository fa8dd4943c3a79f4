// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A bundle is an OCI bundle whose rootfs is mounted anew for each container:
// the part of an engine's work that a runtime leaves to others.
type bundle struct {
	tree, dir string
	serial    int
}

func (b *bench) newBundle(name string, command []string) (*bundle, error) {
	name = "bundle-" + strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, name)
	v := &bundle{tree: b.tree, dir: b.path(name)}
	for _, sub := range []string{"rootfs", "trash"} {
		if err := os.MkdirAll(filepath.Join(v.dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(runtimeConfig(command, name))
	if err != nil {
		return nil, err
	}
	return v, os.WriteFile(filepath.Join(v.dir, "config.json"), data, 0o644)
}

func (v *bundle) layer() string { return filepath.Join(v.dir, strconv.Itoa(v.serial)) }

func (v *bundle) mount() error {
	v.serial++
	upper, work := v.layer()+"/upper", v.layer()+"/work"
	if err := errors.Join(os.Mkdir(v.layer(), 0o700), os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	return mountOverlay(v.tree, upper, work, v.dir+"/rootfs")
}

// in runs a command in the bundle's directory.
func (v *bundle) in(argv []string) func() error {
	return func() error {
		if err := os.Chdir(v.dir); err != nil {
			return err
		}
		_, err := timed(argv...)
		return err
	}
}

func (v *bundle) discard() error {
	if err := unix.Unmount(v.dir+"/rootfs", 0); err != nil {
		return fmt.Errorf("unmount %s: %w", v.dir+"/rootfs", err)
	}
	return os.Rename(v.layer(), filepath.Join(v.dir, "trash", strconv.Itoa(v.serial)))
}

type object = map[string]any

// runtimeConfig has the namespaces, mounts and capabilities that strata's
// containers have.
func runtimeConfig(command []string, name string) object {
	caps := []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
	mount := func(destination, kind, source, options string) object {
		return object{"destination": destination, "type": kind, "source": source, "options": strings.Split(options, ",")}
	}
	var namespaces []object
	for _, kind := range []string{"pid", "mount", "uts", "ipc", "network"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	return object{
		"ociVersion": "1.0.2",
		"hostname":   "bench",
		"root":       object{"path": "rootfs"},
		"process": object{
			"user": object{"uid": 0, "gid": 0}, "cwd": "/", "args": command, "noNewPrivileges": true,
			"env":          []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
			"capabilities": object{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"mounts": []object{
			mount("/proc", "proc", "proc", "nosuid,noexec,nodev"),
			mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
			mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
			mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
			mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
			mount("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
		},
		"linux": object{"namespaces": namespaces, "cgroupsPath": "/" + cgroup + "/" + name},
	}
}
