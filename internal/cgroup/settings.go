// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A setting is one value for one file of a cgroup.
type setting struct {
	controller string // whose file it is; "" for a file that every cgroup of version 2 has
	file       string
	value      string
	limit      string // what it is for whoever asked: "memory limit 64 MiB"
	// without says whether a kernel that does not have the file does not need it.
	without func() bool
	// instead is what takes its place in kernels that do not have the file.
	instead *instead
}

type instead struct{ file, value string }

func always() bool { return true }

// A FieldError is a limit that cannot be had, with its name in the JSON document.
type FieldError struct {
	Field string // "linux.resources.memory.kernel"
	Value string
}

func (e *FieldError) Error() string {
	return strings.TrimRight("runtime specification: "+e.Field+" "+e.Value, " ") + " is not supported"
}

// Check refuses limits that cannot be had here, by a *FieldError, and values that
// mean nothing to any kernel.
func (s System) Check(r *specs.LinuxResources) error {
	_, err := s.settings(r)
	return err
}

// settings are the values of r, which may be nil, in the order in which they are
// written.
func (s System) settings(r *specs.LinuxResources) ([]setting, error) {
	if r == nil {
		return nil, nil
	}
	l := &settings{version: s.Version}
	l.devices(r.Devices)
	l.cpuset(r.CPU)
	l.memory(r.Memory)
	l.cpu(r.CPU)
	l.pids(r.Pids)
	l.blockIO(r.BlockIO)
	l.hugepages(r.HugepageLimits)
	l.network(r.Network)
	l.rdma(r.Rdma)
	l.unified(r.Unified)
	return l.all, l.err
}

// settings gathers them, and the first error.
type settings struct {
	version int
	all     []setting
	err     error
}

// set adds the value of one file; of the two names the version's is taken, as
// "controller.file". An empty name is a limit that the version does not have.
func (l *settings) set(field, v1, v2, value, limit string) {
	name := v1
	if l.version == 2 {
		name = v2
	}
	if name == "" {
		l.refuse(field, fmt.Sprintf("with cgroup version %d", l.version))
		return
	}
	controller, _, _ := strings.Cut(name, ".")
	l.all = append(l.all, setting{controller: controller, file: name, value: value, limit: limit})
}

// optional makes the newest setting one that kernels may be without.
func (l *settings) optional(without func() bool) { l.all[len(l.all)-1].without = without }

func (l *settings) refuse(field, why string) {
	if l.err == nil {
		l.err = &FieldError{"linux.resources." + field, why}
	}
}

// bad is a value that no kernel takes.
func (l *settings) bad(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// devices takes the rule that forbids all: that is how it is, since every
// filesystem that a container can make nodes on is mounted nodev.
func (l *settings) devices(rules []specs.LinuxDeviceCgroup) {
	for _, d := range rules {
		if d.Allow || d.Major != nil || d.Minor != nil || d.Type != "" && d.Type != "a" || d.Access != "" && d.Access != "rwm" {
			l.refuse("devices", "other than the rule that forbids all")
		}
	}
}

func (l *settings) cpuset(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if c.Cpus != "" {
		l.set("cpu.cpus", "cpuset.cpus", "cpuset.cpus", c.Cpus, "processors "+c.Cpus)
	}
	if c.Mems != "" {
		l.set("cpu.mems", "cpuset.mems", "cpuset.mems", c.Mems, "memory nodes "+c.Mems)
	}
	for _, set := range []string{c.Cpus, c.Mems} {
		if strings.Trim(set, "0123456789,-") != "" {
			l.bad("limit processors or memory nodes to %q: write them as 0-2,5", set)
		}
	}
}

func (l *settings) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if c.Shares != nil && *c.Shares != 0 {
		l.shares(*c.Shares)
	}
	l.quota(c)
	if c.RealtimePeriod != nil && *c.RealtimePeriod != 0 {
		l.set("cpu.realtimePeriod", "cpu.rt_period_us", "", number(*c.RealtimePeriod), "realtime period "+number(*c.RealtimePeriod)+" µs")
	}
	if c.RealtimeRuntime != nil && *c.RealtimeRuntime != 0 {
		l.set("cpu.realtimeRuntime", "cpu.rt_runtime_us", "", number(*c.RealtimeRuntime), "realtime runtime "+number(*c.RealtimeRuntime)+" µs")
	}
	if c.Idle != nil {
		l.set("cpu.idle", "cpu.idle", "cpu.idle", number(*c.Idle), "cpu idle "+number(*c.Idle))
	}
}

// The kernel takes shares beyond these as if they were these
// (kernel/sched/sched.h, MIN_SHARES and MAX_SHARES).
const minShares, maxShares = 2, 1 << 18

func (l *settings) shares(n uint64) {
	if n < minShares || n > maxShares {
		l.bad("cpu shares %d: the kernel takes %d to %d", n, minShares, maxShares)
	}
	value := number(n)
	if l.version == 2 {
		value = number(weightOfShares(n))
	}
	l.set("cpu.shares", "cpu.shares", "cpu.weight", value, "cpu shares "+number(n))
}

// quota sets how many microseconds of each period may be used, in total over all
// processors. With version 2 both are one value.
func (l *settings) quota(c *specs.LinuxCPU) {
	quota, period := value(c.Quota), value(c.Period)
	limit := fmt.Sprintf("cpu quota %d µs of %d µs", quota, period)
	if quota < 0 {
		limit = "cpu quota unlimited"
	}
	switch {
	case l.version == 2 && (quota != 0 || period != 0):
		l.set("cpu.quota", "", "cpu.max", orMax(max(quota, -1))+" "+number(orDefault(period, 100_000)), limit)
	case l.version != 2:
		if period != 0 {
			l.set("cpu.period", "cpu.cfs_period_us", "", number(period), limit)
		}
		if quota != 0 {
			l.set("cpu.quota", "cpu.cfs_quota_us", "", number(max(quota, -1)), limit)
		}
	}
	if c.Burst != nil {
		l.set("cpu.burst", "cpu.cfs_burst_us", "cpu.max.burst", number(*c.Burst), "cpu burst "+number(*c.Burst)+" µs")
	}
}

func (l *settings) pids(p *specs.LinuxPids) {
	if p == nil || p.Limit == nil {
		return
	}
	n := *p.Limit
	if n == 0 {
		n = 1 // as runc does: with none at all there would be no container
	}
	l.set("pids.limit", "pids.max", "pids.max", orMax(n), "pids limit "+orMax(n))
}

func (l *settings) hugepages(limits []specs.LinuxHugepageLimit) {
	for _, h := range limits {
		if h.Pagesize == "" || strings.Trim(h.Pagesize, "0123456789KMGB") != "" {
			l.bad("hugepage size %q: write it as 2MB or 1GB", h.Pagesize)
		}
		prefix := "hugetlb." + h.Pagesize
		limit := "limit " + number(h.Limit) + " of " + h.Pagesize + " hugepages"
		l.set("hugepageLimits", prefix+".limit_in_bytes", prefix+".max", number(h.Limit), limit)
		l.set("hugepageLimits", prefix+".rsvd.limit_in_bytes", prefix+".rsvd.max", number(h.Limit), limit)
		l.optional(always) // Linux 5.7
	}
}

func (l *settings) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	if n.ClassID != nil {
		l.set("network.classID", "net_cls.classid", "", number(*n.ClassID), "network class "+number(*n.ClassID))
	}
	for _, p := range n.Priorities {
		value := p.Name + " " + number(p.Priority)
		l.set("network.priorities", "net_prio.ifpriomap", "", value, "network priority "+value)
	}
}

func (l *settings) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range sortedKeys(devices) {
		value, d := name, devices[name]
		if d.HcaHandles != nil {
			value += " hca_handle=" + number(*d.HcaHandles)
		}
		if d.HcaObjects != nil {
			value += " hca_object=" + number(*d.HcaObjects)
		}
		l.set("rdma", "rdma.max", "rdma.max", value, "rdma limit "+value)
	}
}

// ours are files that say which processes a cgroup has and what it is: they are
// no limits.
var ours = []string{
	"cgroup.procs", "cgroup.threads", "cgroup.type", "cgroup.kill", "cgroup.freeze", "cgroup.subtree_control",
}

// unified are files of version 2, named as they are.
func (l *settings) unified(files map[string]string) {
	for _, name := range sortedKeys(files) {
		controller, rest, ok := strings.Cut(name, ".")
		if !ok || rest == "" || controller == "" || strings.ContainsAny(name, "/\x00") || slices.Contains(ours, name) {
			l.refuse("unified", name)
			continue
		}
		l.set("unified", "", name, files[name], name+" "+files[name])
		if controller == "cgroup" && l.version == 2 {
			l.all[len(l.all)-1].controller = ""
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type integer interface {
	~int64 | ~uint64 | ~uint32 | ~uint16
}

func number[T integer](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// value is what p points to, as far as an int64 goes, or 0.
func value[T integer](p *T) int64 {
	if p == nil {
		return 0
	}
	if n := int64(*p); n >= 0 || *p < 0 {
		return n
	}
	return 1<<63 - 1
}

// orMax writes a limit as version 2 and pids do: below 0 there is none.
func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return number(n)
}

func orDefault(n, other int64) int64 {
	if n == 0 {
		return other
	}
	return n
}
