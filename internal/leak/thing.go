// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are the lines of the host's mount table that mention dir.
func mounts(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		if names([]byte(line), dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found, nil
}

// detach takes away what is mounted in dir, the newest first. It is for a test
// that has failed, so errors do not matter.
func detach(dir string) {
	lines, _ := mounts(dir)
	for _, line := range slices.Backward(lines) {
		if fields := strings.Fields(line); len(fields) > 4 { // proc_pid_mountinfo(5): the fifth is the mount point
			path := strings.ReplaceAll(fields[4], `\040`, " ")
			if beneath(path, dir) {
				unix.Unmount(path, unix.MNT_DETACH)
			}
		}
	}
}

// cgroups are those of the containers of a store that is dir or in it, whose
// names begin with the store's device and inode, and those that a process of dir
// is in and this one is not.
func cgroups(dir string) (found []string, err error) {
	for _, pid := range owned(dir) {
		if theirs, err := os.ReadFile(proc(pid, "cgroup")); err == nil && !sameCgroup(theirs) {
			found = append(found, describe(pid)+" in "+string(bytes.ReplaceAll(theirs, []byte("\n"), []byte(" "))))
		}
	}
	prefixes := cgroupPrefixes(dir)
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) { // removed meanwhile
			return nil
		}
		own := func(prefix string) bool { return strings.HasPrefix(d.Name(), prefix) }
		if err == nil && d.IsDir() && slices.ContainsFunc(prefixes, own) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

// cgroupPrefixes are those of dir and of the directories in it.
func cgroupPrefixes(dir string) (prefixes []string) {
	stores, _ := filepath.Glob(dir + "/*")
	for _, store := range append(stores, dir) {
		var st unix.Stat_t
		if unix.Stat(store, &st) == nil {
			prefixes = append(prefixes, fmt.Sprintf("strata-%x-%x-", st.Dev, st.Ino))
		}
	}
	return prefixes
}

func sameCgroup(theirs []byte) bool {
	ours, err := os.ReadFile("/proc/self/cgroup")
	return err != nil || bytes.Equal(ours, theirs)
}

// loopDevices are those whose file is in dir.
func loopDevices(dir string) ([]string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var found []string
	for _, file := range files {
		backing, _ := os.ReadFile(file)
		if path := strings.TrimSpace(string(backing)); beneath(path, dir) {
			found = append(found, "/dev/"+strings.Split(file, "/")[3]+" of "+path)
		}
	}
	return found, err
}

// descriptors are the files in dir that this process has open.
func descriptors(dir string) ([]string, error) { return openBeneath(os.Getpid(), dir), nil }

// directories are those that Strata makes beside a file of the user's, around
// dir and in dir/.tmp, which testscript makes the place of temporary files.
func directories(dir string) (found []string, err error) {
	for _, place := range []string{filepath.Dir(dir), filepath.Join(dir, ".tmp")} {
		entries, err := os.ReadDir(place)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
		for _, e := range entries {
			if strings.HasPrefix(strings.TrimPrefix(e.Name(), "."), "strata-") {
				found = append(found, filepath.Join(place, e.Name()))
			}
		}
	}
	return found, nil
}
