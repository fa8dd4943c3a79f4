// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"strata/internal/container"
)

// mountList are the mounts of -v, --mount and --tmpfs, those nearer the root
// first, so that one beneath another is on top of it.
func (f *containerFlags) mountList() ([]container.Mount, error) {
	var mounts []container.Mount
	for _, group := range []struct {
		values []string
		flag   string
		parse  func(string) (container.Mount, error)
	}{
		{f.volumes, "--volume", parseVolume}, {f.mounts, "--mount", parseMount}, {f.tmpfs, "--tmpfs", parseTmpfs},
	} {
		for _, value := range group.values {
			m, err := group.parse(value)
			if err == nil {
				err = checkTarget(m.Target)
			}
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", group.flag, value, err)
			}
			m.Target = path.Clean(m.Target)
			mounts = append(mounts, m)
		}
	}
	slices.SortStableFunc(mounts, func(a, b container.Mount) int {
		return strings.Count(a.Target, "/") - strings.Count(b.Target, "/")
	})
	for i, m := range mounts {
		if i > 0 && mounts[i-1].Target == m.Target {
			return nil, fmt.Errorf("two mounts on %s", m.Target)
		}
	}
	return mounts, nil
}

func checkTarget(target string) error {
	switch {
	case !path.IsAbs(target):
		return fmt.Errorf("the path inside, %q, is not absolute", target)
	case path.Clean(target) == "/":
		return errors.New("the root directory cannot be mounted over; see --rootfs")
	}
	return nil
}

// bindOptions are what may follow a second colon in -v. "z" and "Z" are for
// SELinux labels, which nothing here sets.
var bindOptions = []string{"ro", "rw", "z", "Z", "private", "rprivate", "slave", "rslave", "shared", "rshared", "nosuid", "nodev", "noexec"}

// parseVolume reads SOURCE:TARGET[:OPTIONS]. A source that is missing is made,
// as a directory, as Docker does.
func parseVolume(value string) (m container.Mount, err error) {
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
		return m, errors.New("it is not SOURCE:TARGET[:OPTIONS]; volumes without a host path are not supported")
	}
	if !strings.HasPrefix(parts[0], "/") && !strings.HasPrefix(parts[0], ".") {
		return m, fmt.Errorf("named volumes are not supported; give a path, as ./%s", parts[0])
	}
	m = container.Mount{Type: "bind", Target: parts[1], Options: []string{"rbind"}}
	if m.Source, err = filepath.Abs(parts[0]); err != nil {
		return m, err
	}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			if !slices.Contains(bindOptions, option) {
				return m, fmt.Errorf("option %q is unknown; known are %s", option, strings.Join(bindOptions, ", "))
			}
			if strings.ToLower(option) != "z" {
				m.Options = append(m.Options, option)
			}
		}
	}
	if _, err := os.Stat(m.Source); errors.Is(err, os.ErrNotExist) {
		return m, os.MkdirAll(m.Source, 0o755)
	}
	return m, nil
}

// parseMount reads KEY=VALUE pairs.
func parseMount(value string) (m container.Mount, err error) {
	m.Type = "bind"
	for field := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(field, "=")
		switch key {
		case "type":
			m.Type = v
		case "source", "src":
			m.Source = v
		case "target", "dst", "destination":
			m.Target = v
		case "readonly", "ro":
			if v != "false" && v != "0" {
				m.Options = append(m.Options, "ro")
			}
		case "bind-propagation":
			m.Options = append(m.Options, v)
		case "tmpfs-size":
			m.Options = append(m.Options, "size="+v)
		case "tmpfs-mode":
			m.Options = append(m.Options, "mode="+v)
		default:
			return m, fmt.Errorf("field %q is not supported", key)
		}
	}
	if m.Type == "tmpfs" {
		return tmpfsMount(m)
	}
	if m.Type != "bind" {
		return m, fmt.Errorf("type %s is not supported: use bind or tmpfs", m.Type)
	}
	m.Options = append([]string{"rbind"}, m.Options...)
	if _, err := os.Stat(m.Source); err != nil {
		return m, fmt.Errorf("source: %w", err)
	}
	m.Source, err = filepath.Abs(m.Source)
	return m, err
}

// parseTmpfs reads TARGET[:OPTIONS].
func parseTmpfs(value string) (container.Mount, error) {
	target, options, _ := strings.Cut(value, ":")
	m := container.Mount{Type: "tmpfs", Target: target}
	if options != "" {
		m.Options = strings.Split(options, ",")
	}
	return tmpfsMount(m)
}

// tmpfsMount puts Docker's defaults before the options.
func tmpfsMount(m container.Mount) (container.Mount, error) {
	if m.Source != "" {
		return m, errors.New("a tmpfs has no source")
	}
	m.Source = "tmpfs"
	m.Options = append([]string{"nosuid", "nodev", "noexec"}, m.Options...)
	return m, nil
}
