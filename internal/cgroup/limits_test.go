// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// disk is a whole block device of this machine, "" for none.
func disk() (name string, d specs.LinuxBlockIODevice) {
	for _, pattern := range []string{"/sys/block/vd*/dev", "/sys/block/sd*/dev", "/sys/block/nvme*/dev", "/sys/block/loop*/dev"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			text, err := os.ReadFile(f)
			if _, scanErr := fmt.Sscanf(string(text), "%d:%d", &d.Major, &d.Minor); err == nil && scanErr == nil {
				return strings.TrimSpace(string(text)), d
			}
		}
	}
	return "", d
}

// TestLimits sets each limit and reads the kernel's files.
func TestLimits(t *testing.T) {
	device, d := disk()
	throttle := func(rate uint64) []specs.LinuxThrottleDevice {
		return []specs.LinuxThrottleDevice{{LinuxBlockIODevice: d, Rate: rate}}
	}
	memory := func(limit, swap int64) *specs.LinuxResources {
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}}
	}
	for _, c := range []struct {
		name       string
		v1, v2     string // controllers
		r          *specs.LinuxResources
		want1      string // "file=content"; of files of the first controller
		want2      string
		needsBlock bool
	}{
		{name: "memory", v1: "memory", v2: "memory", r: memory(64<<20, 96<<20),
			want1: "memory.limit_in_bytes=67108864 memory.memsw.limit_in_bytes=100663296", want2: "memory.max=67108864 memory.swap.max=33554432"},
		{name: "unlimited memory", v1: "memory", v2: "memory", r: memory(-1, -1),
			want1: "memory.limit_in_bytes=9223372036854771712", want2: "memory.max=max memory.swap.max=max"},
		{name: "reservation", v1: "memory", v2: "memory", r: &specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: pointer(int64(8 << 20))}},
			want1: "memory.soft_limit_in_bytes=8388608", want2: "memory.low=8388608"},
		{name: "quota", v1: "cpu", v2: "cpu", r: &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(20000)), Period: pointer(uint64(50000))}},
			want1: "cpu.cfs_quota_us=20000 cpu.cfs_period_us=50000", want2: "cpu.max=20000_50000"},
		{name: "shares", v1: "cpu", v2: "cpu", r: &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: pointer(uint64(2048))}},
			want1: "cpu.shares=2048", want2: "cpu.weight=174"},
		{name: "cpuset", v1: "cpuset", v2: "cpuset", r: &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}},
			want1: "cpuset.cpus=0 cpuset.mems=0", want2: "cpuset.cpus=0 cpuset.mems=0"},
		{name: "cpuset inherits", v1: "cpuset", v2: "cpuset", r: &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}},
			want1: "cpuset.cpus=0 cpuset.mems=0", want2: "cpuset.cpus=0"},
		{name: "pids", v1: "pids", v2: "pids", r: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(12))}},
			want1: "pids.max=12", want2: "pids.max=12"},
		{name: "unlimited pids", v1: "pids", v2: "pids", r: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(-1))}},
			want1: "pids.max=max", want2: "pids.max=max"},
		{name: "throttle", v1: "blkio", v2: "io", needsBlock: true,
			r: &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
				ThrottleReadBpsDevice: throttle(1 << 20), ThrottleWriteBpsDevice: throttle(2 << 20),
				ThrottleReadIOPSDevice: throttle(30), ThrottleWriteIOPSDevice: throttle(40)}},
			want1: "blkio.throttle.read_bps_device=" + device + "_1048576 blkio.throttle.write_bps_device=" + device + "_2097152 " +
				"blkio.throttle.read_iops_device=" + device + "_30 blkio.throttle.write_iops_device=" + device + "_40",
			want2: "io.max=" + device + "_rbps=1048576_wbps=2097152_riops=30_wiops=40"},
		{name: "unified", v1: "none", v2: "pids", r: &specs.LinuxResources{Unified: map[string]string{"pids.max": "9", "cgroup.max.depth": "3"}},
			want2: "pids.max=9 cgroup.max.depth=3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, s System) {
				controller, want := c.v1, c.want1
				if s.Version == 2 {
					controller, want = c.v2, c.want2
				}
				if c.needsBlock && device == "" {
					t.Skip("there is no disk here")
				}
				needs(t, s, controller)
				g := create(t, s, c.r)
				for pair := range strings.FieldsSeq(want) {
					file, value, _ := strings.Cut(pair, "=")
					got, err := read(g.dirOf(controller) + "/" + file)
					if err != nil || strings.ReplaceAll(got, " ", "_") != value {
						t.Errorf("%s is %q, %v; want %q", file, got, err, value)
					}
				}
			})
		})
	}
}

// TestUpdate walks through limits whose valid order depends on the old ones, and
// then asks for something that is refused: all must be as before.
func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		needs(t, s, "memory", "cpu", "cpuset", "pids")
		limits := func(limit, swap, quota int64, period uint64, pids int64) *specs.LinuxResources {
			return &specs.LinuxResources{
				Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}, CPU: &specs.LinuxCPU{Quota: &quota, Period: &period, Cpus: "0"},
				Pids: &specs.LinuxPids{Limit: &pids},
			}
		}
		g := create(t, s, limits(64<<20, 64<<20, 5_000, 10_000, 10))
		for _, m := range []int64{256 << 20, 32 << 20, -1, 16 << 20, 512 << 20} {
			if err := g.Set(limits(m, m, 5_000, 10_000, 10)); err != nil {
				t.Errorf("memory %d: %v", m, err)
			}
		}
		before := contents(t, g)
		bad := limits(100<<20, 200<<20, 7_000, 20_000, 77)
		bad.CPU.Mems = "99"
		var refused *Error
		if err := g.Set(bad); !errors.As(err, &refused) || !strings.HasPrefix(refused.Op, "set memory nodes 99") {
			t.Errorf("memory node 99: %v", err)
		}
		if after := contents(t, g); after != before {
			t.Errorf("a refused update has changed\n%s\nto\n%s", before, after)
		}
	})
}

// contents are the limits as the kernel has them.
func contents(t *testing.T, g *Group) string {
	t.Helper()
	var text strings.Builder
	for _, dir := range g.dirs() {
		files, _ := filepath.Glob(dir + "/*")
		for _, f := range files {
			switch filepath.Base(f) {
			case "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max", "cpu.cfs_quota_us", "cpu.cfs_period_us",
				"cpu.max", "pids.max", "cpuset.cpus", "cpuset.mems":
				content, err := read(f)
				fmt.Fprintln(&text, f, content, err)
			}
		}
	}
	return text.String()
}

func TestOOMKillsAndStats(t *testing.T) {
	each(t, func(t *testing.T, s System) {
		needs(t, s, "memory", "pids")
		r := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(16 << 20)), Swap: pointer(int64(16 << 20))}, Pids: &specs.LinuxPids{Limit: pointer(int64(20))}}
		g := create(t, s, r)
		cmd := exec.Command("sh", "-c", "read go; dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; exit 0")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer in.Close()
		if err := g.Add(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
		stats, err := g.Stats()
		if err != nil || stats.Pids == nil || *stats.Pids != (PidsStats{1, 20}) || stats.Memory == nil || stats.Memory.Limit != 16<<20 || stats.Memory.OOMKills != 0 {
			t.Errorf("statistics %+v, %+v, %+v, %v", stats, stats.Memory, stats.Pids, err)
		}
		in.Write([]byte("go\n"))
		cmd.Wait()
		if n := g.OOMKills(); n != 1 {
			t.Errorf("%d processes were killed for want of memory, want 1", n)
		}
	})
}

func TestUnsupportedLimits(t *testing.T) {
	n, u, yes, no := pointer(int64(1)), pointer(uint64(1)), pointer(true), pointer(false)
	for _, c := range []struct {
		version int // 0: both
		field   string
		r       specs.LinuxResources
	}{
		//lint:ignore SA1019 to see it refused
		{0, "memory.kernel", specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: n}}},
		{0, "memory.kernelTCP", specs.LinuxResources{Memory: &specs.LinuxMemory{KernelTCP: n}}},
		{0, "memory.useHierarchy false", specs.LinuxResources{Memory: &specs.LinuxMemory{UseHierarchy: no}}},
		{2, "memory.swappiness", specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: u}}},
		{2, "memory.disableOOMKiller", specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: yes}}},
		{2, "memory.checkBeforeUpdate", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(8 << 20)), CheckBeforeUpdate: yes}}},
		{2, "cpu.realtimeRuntime", specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: n}}},
		{2, "cpu.realtimePeriod", specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimePeriod: u}}},
		{0, "blockIO.leafWeight", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{LeafWeight: pointer(uint16(10))}}},
		{2, "network.classID", specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: pointer(uint32(1))}}},
		{2, "network.priorities", specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "lo"}}}}},
		{1, "unified", specs.LinuxResources{Unified: map[string]string{"pids.max": "1"}}},
		{0, "unified", specs.LinuxResources{Unified: map[string]string{"cgroup.procs": "1"}}},
		{0, "unified", specs.LinuxResources{Unified: map[string]string{"../pids.max": "1"}}},
		{0, "devices", specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Type: "c", Access: "rwm"}}}},
	} {
		for version := 1; version <= 2; version++ {
			var field *FieldError
			err := System{Version: version}.Check(&c.r)
			refused := errors.As(err, &field) && strings.HasPrefix(field.Field+" "+field.Value, "linux.resources."+c.field)
			if want := c.version == 0 || c.version == version; refused != want {
				t.Errorf("version %d, %s: %v; refused %v, want %v", version, c.field, err, refused, want)
			}
		}
	}
	all := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	if err := (System{Version: 1}).Check(all); err != nil {
		t.Errorf("the rule that forbids all devices: %v", err)
	}
}

func TestConversions(t *testing.T) {
	for shares, want := range map[uint64]uint64{2: 1, 1024: 100, 262144: 10000, 512: 59, 4096: 303, 1 << 40: 10000} {
		if got := weightOfShares(shares); got != want {
			t.Errorf("shares %d are weight %d, want %d", shares, got, want)
		}
	}
	for weight, want := range map[uint16]uint64{0: 1, 10: 1, 500: 4950, 1000: 10000} {
		if got := weightOfBlockIO(weight); got != want {
			t.Errorf("block IO weight %d is %d, want %d", weight, got, want)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for err, want := range map[error]bool{
		&Error{Errno: unix.EACCES}: true, &Error{Errno: unix.EROFS}: true, &MissingError{"pids"}: true,
		&Error{Errno: unix.EINVAL}: false, errors.New("other"): false,
	} {
		if got := Unavailable(err); got != want {
			t.Errorf("Unavailable(%v) = %v", err, got)
		}
	}
}

// Whatever the kernel writes, reading it does not fail.
func FuzzStatistics(f *testing.F) {
	f.Add("8:0 Read 4096\n8:0 Write 1\nTotal 4097\n")
	f.Add("8:0 rbytes=1 wbytes=2 rios=3 wios=4\n8:16 \n")
	f.Add("usage_usec 5\nx -\n\n")
	f.Add("max")
	f.Fuzz(func(t *testing.T, text string) {
		parseFields(text)
		parseNumber(text)
		for _, s := range append(parseIO1(text, text), parseIO2(text)...) {
			if s.Device == "" {
				t.Error("a device without a name")
			}
		}
	})
}
