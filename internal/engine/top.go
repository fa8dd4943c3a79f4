// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/linux"
)

// A ProcessInfo is a process of a running container, as the host sees it.
type ProcessInfo struct {
	Pid, Parent int
	UID         uint32
	Terminal    uint32 // device number, 0 for none
	CPU         time.Duration
	Started     time.Time
	Command     string // its arguments, or its name in brackets where it has none
}

// Processes lists those of the running container called name, oldest first.
// Errors are those of container.Containers.Running.
func (e *Engine) Processes(name string) ([]ProcessInfo, error) {
	entry, err := e.containers.Running(name)
	if err != nil {
		return nil, err
	}
	pids, err := processesOf(&entry)
	if err != nil || !entry.State.Alive() { // it has ended meanwhile
		return nil, &container.StoppedError{Name: entry.Record.DisplayName()}
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return nil, os.NewSyscallError("clock_gettime", err)
	}
	booted := time.Now().Add(-time.Duration(boot.Nano()))
	var infos []ProcessInfo
	for _, pid := range pids {
		if info, err := processInfo(pid, booted); err == nil { // one that is gone is none
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b ProcessInfo) int { return a.Pid - b.Pid })
	return infos, nil
}

// processesOf finds the processes in the container's pid namespace and in those
// made inside, or where that is somebody else's in its mount namespace.
func processesOf(entry *container.Entry) ([]int, error) {
	kind := "pid"
	if entry.Record.Host.PidMode != "" {
		kind = "mnt"
	}
	own, err := linux.Namespace(entry.State.Pid, kind)
	if err != nil {
		return nil, err
	}
	all, err := linux.Pids()
	if err != nil {
		return nil, err
	}
	inside := map[uint64]bool{own: true}
	return slices.DeleteFunc(all, func(pid int) bool {
		ns, err := linux.Namespace(pid, kind)
		if err != nil {
			return true
		}
		if _, known := inside[ns]; !known && kind == "pid" {
			parents, err := linux.ParentNamespaces(pid)
			inside[ns] = err == nil && slices.Contains(parents, own)
		}
		return !inside[ns]
	}), nil
}

func processInfo(pid int, booted time.Time) (ProcessInfo, error) {
	stat, err := linux.ReadStat(pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	ticks := func(n uint64) time.Duration { return time.Duration(n) * (time.Second / linux.TicksPerSecond) }
	p := ProcessInfo{
		Pid: pid, Parent: stat.Parent, Terminal: stat.Terminal,
		CPU: ticks(stat.CPU), Started: booted.Add(ticks(stat.Start)), Command: "[" + stat.Name + "]",
	}
	dir := "/proc/" + strconv.Itoa(pid)
	if line, err := os.ReadFile(dir + "/cmdline"); err == nil && len(line) > 0 {
		p.Command = strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	status, err := os.ReadFile(dir + "/status")
	for line := range strings.Lines(string(status)) {
		if ids, found := strings.CutPrefix(line, "Uid:"); found { // real, effective, saved, of the filesystem
			uid, _ := strconv.ParseUint(strings.Fields(ids)[1], 10, 32)
			p.UID = uint32(uid)
		}
	}
	return p, err
}
