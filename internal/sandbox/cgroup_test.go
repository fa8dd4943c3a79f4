// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cgroup"
	"strata/internal/leak"
)

// inCgroup gives spec a cgroup that belongs to the test.
func inCgroup(t *testing.T, spec *specs.Spec, r *specs.LinuxResources) {
	t.Helper()
	if os.Geteuid() != 0 || cgroup.Here().Version == 0 {
		t.Skip("making cgroups needs root")
	}
	dir := t.TempDir()
	leak.Check(t, dir)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	spec.Linux.CgroupsPath = "/" + cgroup.Name(cgroup.Prefix(st.Dev, st.Ino), "0123456789abcdef")
	spec.Linux.Resources = r
}

func pidsLimit(n int64) *specs.LinuxResources {
	return &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &n}}
}

// The process is in its cgroup and sees that as the root of all.
func TestCgroup(t *testing.T) {
	for _, own := range []bool{true, false} {
		spec := newSpec("cat /proc/self/cgroup")
		inCgroup(t, spec, pidsLimit(7))
		if !own {
			spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.CgroupNamespace })
		}
		got, _, err := run(t, rootfs(t), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for line := range strings.Lines(got) {
			if f := strings.Split(strings.TrimSpace(line), ":"); f[1] == "pids" || f[0] == "0" && cgroup.Here().Version == 2 {
				found = own && f[2] == "/" || !own && strings.HasSuffix(f[2], spec.Linux.CgroupsPath)
			}
		}
		if !found {
			t.Errorf("own namespace %v: the process is in %s", own, got)
		}
	}
}

// Whatever fails, no cgroup is left: inCgroup looks.
func TestCgroupIsTakenBack(t *testing.T) {
	noDevice, noController := "set rdma limit mlx5: no such device", "limits of nosuch: the cgroup controller is missing"
	if !slices.Contains(cgroup.Here().Controllers(), "rdma") {
		noDevice = "limits of rdma: the cgroup controller is missing"
	}
	if cgroup.Here().Version == 1 {
		noController = "linux.resources.unified with cgroup version 1 is not supported"
	}
	for name, c := range map[string]struct {
		change func(*specs.Spec)
		want   string
	}{
		"no program":    {func(s *specs.Spec) { s.Process.Args = []string{"nosuch"} }, "nosuch"},
		"no limit":      {func(s *specs.Spec) { s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "9999"}} }, "set processors 9999: "},
		"no device":     {func(s *specs.Spec) { s.Linux.Resources.Rdma = map[string]specs.LinuxRdma{"mlx5": {}} }, noDevice},
		"no controller": {func(s *specs.Spec) { s.Linux.Resources.Unified = map[string]string{"nosuch.max": "1"} }, noController},
		//lint:ignore SA1019 to see it refused
		"unsupported": {func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Kernel: new(int64)} },
			"runtime specification: linux.resources.memory.kernel is not supported"},
		"no path": {func(s *specs.Spec) { s.Linux.CgroupsPath = "" }, "linux.resources without linux.cgroupsPath"},
		"systemd": {func(s *specs.Spec) { s.Linux.CgroupsPath = "system.slice:strata:x" }, "linux.cgroupsPath system.slice:strata:x"},
	} {
		spec := newSpec("echo ran")
		inCgroup(t, spec, pidsLimit(7))
		c.change(spec)
		if got, _, err := run(t, rootfs(t), spec, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestCgroupOfAbandoned(t *testing.T) {
	spec := newSpec("")
	inCgroup(t, spec, pidsLimit(7))
	child, err := Begin(spec)
	if err == nil {
		err = child.Abandon()
	}
	if err != nil {
		t.Error(err)
	}
}

// A process that enters later is in the cgroup too.
func TestEntryIntoCgroup(t *testing.T) {
	spec := newSpec("")
	inCgroup(t, spec, pidsLimit(7))
	r := begun(t, spec)
	again := newSpec("cat /proc/self/cgroup; echo; cat /proc/1/cgroup")
	again.Linux.CgroupsPath = spec.Linux.CgroupsPath
	got, _, err := enter(t, r, again, nil)
	own, first, _ := strings.Cut(got, "\n\n")
	if err != nil || own != first {
		t.Errorf("the first is in %s, the other in %s, %v", first, own, err)
	}
	group := cgroup.Here().Open(spec.Linux.CgroupsPath)
	t.Cleanup(func() { // before the sandbox is looked for
		if err := group.Remove(); err != nil {
			t.Error(err)
		}
	})
}
