// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Stats is what a cgroup has used. What is nil is not counted here: its
// controller is missing, or with version 1 the cgroup is not in its hierarchy.
type Stats struct {
	Memory *MemoryStats
	CPU    *CPUStats
	Pids   *PidsStats
	IO     []IOStats
}

// MemoryStats are bytes. A limit below 0 is none.
type MemoryStats struct {
	Usage, Limit int64
	// InactiveFile is the page cache that would go first; Usage includes it, and
	// what people call the usage does not.
	InactiveFile int64
	// Swap is what has been swapped out.
	Swap int64
	// OOMKills is how many processes the kernel has killed for want of memory.
	OOMKills int64
}

// CPUStats are times since the cgroup was made. User and System may add up to
// less than Total.
type CPUStats struct {
	Total, User, System time.Duration
	// Periods of the quota so far, in how many of them processes had to wait, and
	// how long in total.
	Periods, Throttled int64
	ThrottledTime      time.Duration
}

// PidsStats counts processes and threads. A limit below 0 is none.
type PidsStats struct{ Current, Limit int64 }

// IOStats are bytes and operations of one block device.
type IOStats struct {
	Device                                   string // "major:minor"
	ReadBytes, WriteBytes, ReadOps, WriteOps int64
}

// Stats reads what the cgroup has used.
func (g *Group) Stats() (s Stats, err error) {
	if !g.Exists() {
		return s, &Error{Op: "read statistics of cgroup " + g.path, Errno: unix.ENOENT}
	}
	r := &reader{}
	if g.system.Version == 2 {
		dir := g.dirOf("")
		s = Stats{r.memory2(dir), r.cpu2(dir), r.pids(dir), r.io2(dir)}
	} else {
		s = Stats{r.memory1(g.dir1("memory")), r.cpu1(g.dir1("cpuacct"), g.dir1("cpu")), r.pids(g.dir1("pids")), r.io1(g.dir1("blkio"))}
	}
	return s, r.err
}

// OOMKills is how many processes in the cgroup the kernel has killed for want of
// memory, 0 where it is not counted.
func (g *Group) OOMKills() int64 {
	r := &reader{}
	if g.system.Version == 2 {
		return r.fields(g.dirOf("") + "/memory.events")["oom_kill"]
	}
	return r.fields(g.dir1("memory") + "/memory.oom_control")["oom_kill"]
}

// reader keeps the first error that is not a missing file.
type reader struct{ err error }

func (r *reader) text(path string) (string, bool) {
	text, err := read(path)
	if err == nil {
		return text, true
	}
	if r.err == nil && !errors.Is(err, os.ErrNotExist) && !isErrno(err, unix.ENODEV) {
		r.err = err
	}
	return "", false
}

// number is the one in a file, -1 for "max" and for what version 1 writes in its
// place: the largest number of whole pages.
func (r *reader) number(path string) int64 {
	text, _ := r.text(path)
	return parseNumber(text)
}

func parseNumber(text string) int64 {
	const unlimited = 1<<63 - 1 - 1<<16 // less than a page below, whatever the page size
	n, err := strconv.ParseInt(text, 10, 64)
	if text == "max" || err == nil && n >= unlimited {
		return -1
	}
	return n
}

// fields are lines of a name and a number.
func (r *reader) fields(path string) map[string]int64 {
	text, _ := r.text(path)
	return parseFields(text)
}

func parseFields(text string) map[string]int64 {
	fields := map[string]int64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			fields[name] = n
		}
	}
	return fields
}

func (r *reader) memory1(dir string) *MemoryStats {
	if !exists(dir + "/memory.usage_in_bytes") {
		return nil
	}
	m := &MemoryStats{
		Usage: r.number(dir + "/memory.usage_in_bytes"), Limit: r.number(dir + "/memory.limit_in_bytes"),
		InactiveFile: r.fields(dir + "/memory.stat")["total_inactive_file"],
		OOMKills:     r.fields(dir + "/memory.oom_control")["oom_kill"],
	}
	m.Swap = max(0, r.number(dir+"/memory.memsw.usage_in_bytes")-m.Usage)
	return m
}

func (r *reader) memory2(dir string) *MemoryStats {
	if !exists(dir + "/memory.current") {
		return nil
	}
	return &MemoryStats{
		Usage: r.number(dir + "/memory.current"), Limit: r.number(dir + "/memory.max"),
		InactiveFile: r.fields(dir + "/memory.stat")["inactive_file"],
		Swap:         r.number(dir + "/memory.swap.current"),
		OOMKills:     r.fields(dir + "/memory.events")["oom_kill"],
	}
}

// tick is the unit of cpuacct.stat, USER_HZ, which is the same everywhere.
const tick = time.Second / 100

func (r *reader) cpu1(acct, cpu string) *CPUStats {
	if !exists(acct + "/cpuacct.usage") {
		return nil
	}
	split, throttled := r.fields(acct+"/cpuacct.stat"), r.fields(cpu+"/cpu.stat")
	return &CPUStats{
		Total: time.Duration(r.number(acct + "/cpuacct.usage")),
		User:  time.Duration(split["user"]) * tick, System: time.Duration(split["system"]) * tick,
		Periods: throttled["nr_periods"], Throttled: throttled["nr_throttled"],
		ThrottledTime: time.Duration(throttled["throttled_time"]),
	}
}

func (r *reader) cpu2(dir string) *CPUStats {
	f := r.fields(dir + "/cpu.stat")
	return &CPUStats{
		Total: time.Duration(f["usage_usec"]) * time.Microsecond, User: time.Duration(f["user_usec"]) * time.Microsecond,
		System: time.Duration(f["system_usec"]) * time.Microsecond, Periods: f["nr_periods"], Throttled: f["nr_throttled"],
		ThrottledTime: time.Duration(f["throttled_usec"]) * time.Microsecond,
	}
}

func (r *reader) pids(dir string) *PidsStats {
	if !exists(dir + "/pids.current") {
		return nil
	}
	return &PidsStats{Current: r.number(dir + "/pids.current"), Limit: r.number(dir + "/pids.max")}
}

func (r *reader) io1(dir string) []IOStats {
	bytes, _ := r.text(dir + "/blkio.throttle.io_service_bytes_recursive")
	ops, _ := r.text(dir + "/blkio.throttle.io_serviced_recursive")
	return parseIO1(bytes, ops)
}

// parseIO1 reads lines such as "8:0 Read 4096".
func parseIO1(bytes, ops string) (all []IOStats) {
	for i, text := range []string{bytes, ops} {
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) != 3 {
				continue // the total
			}
			n, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil {
				continue
			}
			s := device(&all, f[0])
			switch {
			case f[1] == "Read" && i == 0:
				s.ReadBytes = n
			case f[1] == "Write" && i == 0:
				s.WriteBytes = n
			case f[1] == "Read":
				s.ReadOps = n
			case f[1] == "Write":
				s.WriteOps = n
			}
		}
	}
	return all
}

func (r *reader) io2(dir string) []IOStats {
	text, _ := r.text(dir + "/io.stat")
	return parseIO2(text)
}

// parseIO2 reads lines such as "8:0 rbytes=4096 wbytes=0 rios=1 wios=0".
func parseIO2(text string) (all []IOStats) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue // nothing was done to it
		}
		s := device(&all, f[0])
		for _, pair := range f[1:] {
			key, value, _ := strings.Cut(pair, "=")
			n, _ := strconv.ParseInt(value, 10, 64)
			switch key {
			case "rbytes":
				s.ReadBytes = n
			case "wbytes":
				s.WriteBytes = n
			case "rios":
				s.ReadOps = n
			case "wios":
				s.WriteOps = n
			}
		}
	}
	return all
}

func device(all *[]IOStats, name string) *IOStats {
	for i := range *all {
		if (*all)[i].Device == name {
			return &(*all)[i]
		}
	}
	*all = append(*all, IOStats{Device: name})
	return &(*all)[len(*all)-1]
}
