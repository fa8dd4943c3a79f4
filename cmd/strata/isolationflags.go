// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
)

// isolationFlags are those that change the walls around a container and its
// limits, with Docker's names and meanings.
type isolationFlags struct {
	capAdd, capDrop, groupAdd, ulimits, devices, sysctls, securityOpts []string
	privileged                                                         bool
	shmSize, pid, ipc, uts, domainname, oomScoreAdj                    string
}

func (f *isolationFlags) bind(fs *cli.FlagSet) {
	fs.StringsVar(&f.capAdd, "cap-add", "", "CAPABILITY", "add a capability of the kernel, or ALL")
	fs.StringsVar(&f.capDrop, "cap-drop", "", "CAPABILITY", "take a capability away, or ALL")
	fs.BoolVar(&f.privileged, "privileged", "", "take the walls down: all capabilities and devices, nothing masked")
	fs.StringsVar(&f.securityOpts, "security-opt", "", "OPTION", "seccomp=FILE|builtin|unconfined, or no-new-privileges=false")
	fs.StringsVar(&f.groupAdd, "group-add", "", "GROUP", "add a group to the user's: name in the image, or number")
	fs.StringsVar(&f.ulimits, "ulimit", "", "TYPE=SOFT[:HARD]", "limit each process: nofile, nproc, core, …; -1 is unlimited")
	fs.StringsVar(&f.devices, "device", "", "HOST[:INSIDE]", "show a device of the host inside")
	fs.StringsVar(&f.sysctls, "sysctl", "", "NAME=VALUE", "set one of the namespaces' kernel parameters")
	fs.StringVar(&f.shmSize, "shm-size", "", "SIZE", "size of /dev/shm: bytes, or with k, m, g (default 64m)")
	fs.StringVar(&f.pid, "pid", "", "MODE", "pid namespace: private, host or container:NAME")
	fs.StringVar(&f.ipc, "ipc", "", "MODE", "ipc namespace: private, shareable, none, host or container:NAME")
	fs.StringVar(&f.uts, "uts", "", "MODE", "uts namespace: private or host")
	fs.StringVar(&f.domainname, "domainname", "", "NAME", "NIS domain name")
	fs.StringVar(&f.oomScoreAdj, "oom-score-adj", "", "N", "how soon it is killed when memory is short: -1000 to 1000")
}

// isolation checks the flags by themselves and with one another.
func (f *isolationFlags) isolation(host *container.Host, hostname string) (i container.Isolation, err error) {
	i = container.Isolation{Privileged: f.privileged, GroupAdd: f.groupAdd, Domainname: f.domainname}
	if err := securityOptions(f.securityOpts, &i); err != nil {
		return i, err
	}
	if i.CapAdd, err = parseCapabilities("--cap-add", f.capAdd); err != nil {
		return i, err
	}
	if i.CapDrop, err = parseCapabilities("--cap-drop", f.capDrop); err != nil {
		return i, err
	}
	if i.Ulimits, err = each("--ulimit", f.ulimits, parseUlimit); err != nil {
		return i, err
	}
	if i.Devices, err = each("--device", f.devices, parseDevice); err != nil {
		return i, err
	}
	if i.ShmSize, err = parseShmSize(f.shmSize); err != nil {
		return i, err
	}
	if i.OomScoreAdj, err = parseOomScore(f.oomScoreAdj); err != nil {
		return i, err
	}
	if err := f.modes(&i, host, hostname); err != nil {
		return i, err
	}
	i.Sysctls, err = parseSysctls(f.sysctls, &i, host)
	return i, err
}

// each parses the values of a flag that may be given more than once.
func each[T any](flag string, values []string, parse func(string) (T, error)) ([]T, error) {
	var parsed []T
	for _, value := range values {
		one, err := parse(value)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, value, err)
		}
		parsed = append(parsed, one)
	}
	return parsed, nil
}

func parseCapabilities(flag string, names []string) ([]string, error) {
	return each(flag, names, engine.ParseCapability)
}

// parseDevice reads HOST[:INSIDE][:PERMISSIONS].
func parseDevice(value string) (d container.Device, err error) {
	parts := strings.Split(value, ":")
	if last := parts[len(parts)-1]; len(parts) > 1 && last != "" && strings.Trim(last, "rwm") == "" {
		if !strings.Contains(last, "r") || !strings.Contains(last, "w") {
			return d, fmt.Errorf("permissions %q: only rw and rwm are supported; other users' access is the node's mode", last)
		}
		parts = parts[:len(parts)-1]
	}
	d.Source, d.Target = parts[0], parts[len(parts)-1]
	if len(parts) > 2 || !path.IsAbs(d.Source) || !path.IsAbs(d.Target) {
		return d, errors.New("it is not HOST[:INSIDE][:rwm] with absolute paths")
	}
	d.Target = path.Clean(d.Target)
	return d, nil
}

// ulimitNames are Docker's (docker/go-units, ulimit.go).
var ulimitNames = []string{
	"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
}

// parseUlimit reads TYPE=SOFT[:HARD].
func parseUlimit(value string) (u container.Ulimit, err error) {
	name, limits, found := strings.Cut(value, "=")
	if !found {
		return u, errors.New("it is not TYPE=SOFT[:HARD], as nofile=1024:2048")
	}
	if !slices.Contains(ulimitNames, name) {
		return u, fmt.Errorf("type %q is unknown; known are %s", name, strings.Join(ulimitNames, ", "))
	}
	soft, hard, both := strings.Cut(limits, ":")
	if !both {
		hard = soft
	}
	u.Name = name
	if u.Soft, err = parseLimit(soft); err == nil {
		u.Hard, err = parseLimit(hard)
	}
	if err == nil && u.Hard >= 0 && (u.Soft < 0 || u.Soft > u.Hard) {
		err = fmt.Errorf("the soft limit, %s, is more than the hard one, %s", soft, hard)
	}
	return u, err
}

func parseLimit(value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < -1 {
		return 0, fmt.Errorf("%q is no number, and not -1 for unlimited", value)
	}
	return n, nil
}

// parseSize reads bytes with Docker's units: b, k, m, g, in powers of 1024.
func parseSize(value string) (int64, error) {
	lower := strings.TrimSuffix(strings.ToLower(value), "b")
	shift := 0
	for i, unit := range []string{"k", "m", "g", "t"} {
		if number, found := strings.CutSuffix(lower, unit); found {
			lower, shift = number, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(lower, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size; give bytes, or a number with k, m or g", value)
	}
	return n << shift, nil
}

func parseShmSize(value string) (int64, error) {
	if value == "" {
		return 0, nil
	}
	n, err := parseSize(value)
	if err == nil && n == 0 {
		err = errors.New("a size of 0 would be all of the memory")
	}
	if err != nil {
		return 0, fmt.Errorf("--shm-size: %w", err)
	}
	return n, nil
}

func parseOomScore(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < -1000 || n > 1000 {
		return 0, fmt.Errorf("--oom-score-adj %s: it is a number from -1000 to 1000", value)
	}
	return n, nil
}

// parseSysctls reads NAME=VALUE pairs, of which each must belong to a namespace
// that is not the host's.
func parseSysctls(values []string, i *container.Isolation, host *container.Host) (map[string]string, error) {
	var parsed map[string]string
	for _, v := range values {
		name, value, found := strings.Cut(v, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--sysctl %s: it is not NAME=VALUE", v)
		}
		if err := engine.CheckSysctl(name, i, host); err != nil {
			return nil, fmt.Errorf("--sysctl %s: %w", v, err)
		}
		if parsed == nil {
			parsed = map[string]string{}
		}
		parsed[name] = value
	}
	return parsed, nil
}
