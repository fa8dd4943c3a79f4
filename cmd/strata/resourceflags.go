// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
)

// resourceFlags are the limits that run, create and update share, with Docker's
// names and meanings.
type resourceFlags struct {
	memory, swap, reservation, swappiness      string
	cpus, shares, period, quota, cpuset, mems  string
	pids, weight                               string
	weights, readBps, writeBps, readOps, wrOps []string
	noOOMKill                                  bool
	parent, namespace                          string
}

func (f *resourceFlags) bind(fs *cli.FlagSet) {
	fs.StringVar(&f.memory, "memory", "m", "SIZE", "memory limit: bytes, or with k, m, g")
	fs.StringVar(&f.swap, "memory-swap", "", "SIZE", "limit of memory and swap together; -1 is unlimited (default: twice the memory)")
	fs.StringVar(&f.reservation, "memory-reservation", "", "SIZE", "memory that is left to it when others are short of it")
	fs.StringVar(&f.swappiness, "memory-swappiness", "", "N", "how soon it is swapped out: 0 to 100")
	fs.BoolVar(&f.noOOMKill, "oom-kill-disable", "", "let it wait for memory and not be killed")
	fs.StringVar(&f.cpus, "cpus", "", "N", "how many processors it may use: 1.5")
	fs.StringVar(&f.shares, "cpu-shares", "c", "N", "its share of the processors when they are busy (1024 is the usual)")
	fs.StringVar(&f.period, "cpu-period", "", "MICROSECONDS", "the period of --cpu-quota")
	fs.StringVar(&f.quota, "cpu-quota", "", "MICROSECONDS", "processor time in each period; -1 is unlimited")
	fs.StringVar(&f.cpuset, "cpuset-cpus", "", "LIST", "the processors it may use: 0-2,5")
	fs.StringVar(&f.mems, "cpuset-mems", "", "LIST", "the memory nodes it may use: 0-1")
	fs.StringVar(&f.pids, "pids-limit", "", "N", "how many processes and threads it may have; -1 is unlimited")
	fs.StringVar(&f.weight, "blkio-weight", "", "N", "its share of block devices when they are busy: 10 to 1000")
	fs.StringsVar(&f.weights, "blkio-weight-device", "", "DEVICE:N", "its share of one block device")
	fs.StringsVar(&f.readBps, "device-read-bps", "", "DEVICE:SIZE", "how much it may read from a device in a second")
	fs.StringsVar(&f.writeBps, "device-write-bps", "", "DEVICE:SIZE", "how much it may write to a device in a second")
	fs.StringsVar(&f.readOps, "device-read-iops", "", "DEVICE:N", "how often it may read from a device in a second")
	fs.StringsVar(&f.wrOps, "device-write-iops", "", "DEVICE:N", "how often it may write to a device in a second")
}

// bindPlace adds what only a new container can be asked.
func (f *resourceFlags) bindPlace(fs *cli.FlagSet) {
	fs.StringVar(&f.parent, "cgroup-parent", "", "PATH", "the cgroup in which its own is made")
	fs.StringVar(&f.namespace, "cgroupns", "", "MODE", "cgroup namespace: private or host")
}

func (f *resourceFlags) apply(h *container.Host) error {
	r, err := f.resources()
	if err != nil {
		return err
	}
	h.Resources.LinuxResources = r
	if h.CgroupParent, err = parseCgroupParent(f.parent); err != nil {
		return err
	}
	switch f.namespace {
	case "", "private":
	case "host":
		h.CgroupNS = f.namespace
	default:
		return fmt.Errorf("--cgroupns %s: it is private or host", f.namespace)
	}
	return nil
}

func parseCgroupParent(p string) (string, error) {
	if p == "" {
		return "", nil
	}
	if strings.ContainsAny(p, "\x00\n") || path.Clean("/"+p) == "/" || strings.Contains("/"+p+"/", "/../") {
		return "", fmt.Errorf("--cgroup-parent %q: it is no path of a cgroup", p)
	}
	return path.Clean(p), nil
}

// resources are the limits that were given, nil if none was.
func (f *resourceFlags) resources() (*specs.LinuxResources, error) {
	p := &limitParser{}
	r := &specs.LinuxResources{Memory: f.memoryLimits(p), CPU: f.cpuLimits(p), BlockIO: f.blockIO(p)}
	if n := number[int64](p, "--pids-limit", f.pids); n != nil {
		if *n == 0 {
			*n = -1 // Docker's word for it
		}
		r.Pids = &specs.LinuxPids{Limit: n}
	}
	if p.err != nil {
		return nil, p.err
	}
	if r.Memory == nil && r.CPU == nil && r.BlockIO == nil && r.Pids == nil {
		return nil, nil
	}
	return r, engine.CheckResources(r)
}

func (f *resourceFlags) memoryLimits(p *limitParser) *specs.LinuxMemory {
	m := specs.LinuxMemory{
		Limit: p.size("--memory", f.memory), Swap: p.size("--memory-swap", f.swap),
		Reservation: p.size("--memory-reservation", f.reservation), Swappiness: number[uint64](p, "--memory-swappiness", f.swappiness),
	}
	if f.noOOMKill {
		m.DisableOOMKiller = &f.noOOMKill
	}
	if m.Limit != nil && *m.Limit > 0 && m.Swap == nil {
		both := 2 * *m.Limit
		m.Swap = &both
	}
	if m.Limit != nil && m.Swap != nil && *m.Limit > 0 && *m.Swap >= 0 && *m.Swap < *m.Limit {
		p.fail("--memory-swap %s: it includes memory, and is less than --memory %s", f.swap, f.memory)
	}
	if m == (specs.LinuxMemory{}) {
		return nil
	}
	return &m
}

func (f *resourceFlags) cpuLimits(p *limitParser) *specs.LinuxCPU {
	c := specs.LinuxCPU{
		Shares: number[uint64](p, "--cpu-shares", f.shares), Period: number[uint64](p, "--cpu-period", f.period),
		Quota: number[int64](p, "--cpu-quota", f.quota), Cpus: f.cpuset, Mems: f.mems,
	}
	if f.cpus != "" {
		if c.Period != nil || c.Quota != nil {
			p.fail("--cpus: it stands for --cpu-period and --cpu-quota; give it or them")
		}
		c.Quota, c.Period = p.processors(f.cpus)
	}
	if c == (specs.LinuxCPU{}) {
		return nil
	}
	return &c
}

func (f *resourceFlags) blockIO(p *limitParser) *specs.LinuxBlockIO {
	if f.weight == "" && len(f.weights)+len(f.readBps)+len(f.writeBps)+len(f.readOps)+len(f.wrOps) == 0 {
		return nil
	}
	b := &specs.LinuxBlockIO{
		Weight:                  number[uint16](p, "--blkio-weight", f.weight),
		ThrottleReadBpsDevice:   p.throttles("--device-read-bps", f.readBps, parseSize),
		ThrottleWriteBpsDevice:  p.throttles("--device-write-bps", f.writeBps, parseSize),
		ThrottleReadIOPSDevice:  p.throttles("--device-read-iops", f.readOps, parseCount),
		ThrottleWriteIOPSDevice: p.throttles("--device-write-iops", f.wrOps, parseCount),
	}
	for _, value := range f.weights {
		device, n := p.device("--blkio-weight-device", value, parseCount)
		weight := uint16(min(n, 1<<16-1))
		b.WeightDevice = append(b.WeightDevice, specs.LinuxWeightDevice{LinuxBlockIODevice: device, Weight: &weight})
	}
	return b
}

// limitParser keeps the first error.
type limitParser struct{ err error }

func (p *limitParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// size reads bytes, -1 for unlimited; nil where nothing was given.
func (p *limitParser) size(flag, value string) *int64 {
	if value == "" {
		return nil
	}
	n := int64(-1)
	var err error
	if value != "-1" {
		n, err = parseSize(value)
	}
	if err != nil {
		p.fail("%s: %w", flag, err)
	}
	return &n
}

// number reads a whole number that fits into T; nil where nothing was given.
func number[T int64 | uint64 | uint16](p *limitParser, flag, value string) *T {
	if value == "" {
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if t := T(n); err == nil && int64(t) == n && (t < 0) == (n < 0) && (n >= -1) {
		return &t
	}
	p.fail("%s %s: it is no number, or out of range", flag, value)
	return new(T)
}

// period is that of --cpus, in microseconds.
const cpusPeriod = 100_000

// processors reads how many may be used, as a quota and a period.
func (p *limitParser) processors(value string) (quota *int64, period *uint64) {
	const least = 0.01 // the kernel's smallest quota, 1 ms
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= least && n <= 1<<20) {
		p.fail("--cpus %s: it is a number of processors, at least %v", value, least)
	}
	q, t := int64(n*cpusPeriod+0.5), uint64(cpusPeriod)
	return &q, &t
}

// throttles reads DEVICE:RATE.
func (p *limitParser) throttles(flag string, values []string, parse func(string) (int64, error)) (all []specs.LinuxThrottleDevice) {
	for _, value := range values {
		device, rate := p.device(flag, value, parse)
		all = append(all, specs.LinuxThrottleDevice{LinuxBlockIODevice: device, Rate: uint64(rate)})
	}
	return all
}

// device reads PATH:NUMBER, where path is a block device.
func (p *limitParser) device(flag, value string, parse func(string) (int64, error)) (d specs.LinuxBlockIODevice, n int64) {
	i := strings.LastIndexByte(value, ':')
	if i < 0 || !path.IsAbs(value) {
		p.fail("%s %s: it is not DEVICE:NUMBER, as /dev/sda:10", flag, value)
		return d, 0
	}
	n, err := parse(value[i+1:])
	if err != nil {
		p.fail("%s %s: %w", flag, value, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(value[:i], &st); err != nil {
		p.fail("%s %s: %w", flag, value, err)
	} else if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		p.fail("%s %s: %s is no block device", flag, value, value[:i])
	}
	d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	return d, n
}

func parseCount(value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("it is no number, or below zero")
	}
	return n, nil
}
