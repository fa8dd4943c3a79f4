// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// TestFields starts a process for each field of a specification that is carried
// out, and looks for its effect inside.
func TestFields(t *testing.T) {
	dir := rootfs(t)
	host := t.TempDir()
	cases := []struct {
		field, script, want string
		change              func(*specs.Spec)
	}{
		{"domainname", "cat /proc/sys/kernel/domainname", "example.org", func(s *specs.Spec) { s.Domainname = "example.org" }},
		{"process.rlimits", "ulimit -n; ulimit -Hn; ulimit -c", "100\n200\n0", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE"}}
		}},
		{"process.user.umask", "umask; : >/tmp/new; stat -c %a /tmp/new", "0077\n600", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o77)) }},
		{"process.user.additionalGids", "id -G", "0 7 8", func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{7, 8} }},
		{"process.oomScoreAdj", "cat /proc/self/oom_score_adj", "678", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(678) }},
		{"process.scheduler", "cut -d' ' -f19,41 /proc/self/stat", "5 3", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
		}},
		{"process.scheduler nice", "cut -d' ' -f19 /proc/self/stat", "5", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Nice: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
		}},
		{"process.ioPriority", "ionice -p $$", "best-effort: prio 7", func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 7}
		}},
		{"linux.devices", "stat -c %t:%T:%F /dev/sub/full; cat /dev/sub/full | head -c 2 | wc -c; echo x 2>&1 >/dev/sub/full",
			"1:7:character special file\n2\nsh: write error: No space left on device", func(s *specs.Spec) {
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/sub/full", Type: "c", Major: 1, Minor: 7}, {Path: "/dev/null", Type: "c", Major: 1, Minor: 3}}
			}},
		{"linux.devices by number", "stat -c %t:%T /dev/kmsg", "1:7", func(s *specs.Spec) { // the host's of that name is another
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 7}}
		}},
		{"linux.sysctl", "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max; echo 0 2>&1 >/proc/sys/net/ipv4/ip_forward",
			"123\n1\n77\nsh: can't create /proc/sys/net/ipv4/ip_forward: Read-only file system", func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{"kernel.shmmni": "123", "net/ipv4/ip_forward": "1", "fs.mqueue.msg_max": "77"}
			}},
		{"linux.sysctl domainname", "cat /proc/sys/kernel/domainname", "of.sysctl", func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"kernel.domainname": "of.sysctl"}
		}},
		{"linux.personality", "uname -m", map[string]string{"amd64": "i686", "arm64": "armv8l"}[runtime.GOARCH], func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
		}},
		{"linux.rootfsPropagation", "grep '^[^/]*/[^ ]* / ' /proc/self/mountinfo | grep -o 'shared\\|unbindable'", "shared", func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" }},
		{"linux.rootfsPropagation private", "grep '^[^/]*/[^ ]* / ' /proc/self/mountinfo | grep -c 'shared\\|unbindable\\|master'", "0", func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" }},
		{"mounts.options", "grep -o ' /t [^ ]* [^ ]*' /proc/mounts; cat /t/f 2>&1", "/t tmpfs rw,sync,nosuid,nodev,noexec,noatime\ncat: can't open '/t/f': No such file or directory", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"defaults", "nosuid", "suid", "rnosuid", "rnodev", "noexec", "noatime", "sync"}})
		}},
		{"mounts.options recursive", "echo x 2>&1 >/b/f", "sh: can't create /b/f: Read-only file system", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/b", Source: host, Options: []string{"rbind", "rro"}})
		}},
		{"annotations", "echo ran", "ran", func(s *specs.Spec) { s.Annotations = map[string]string{"a": "b"} }},
	}
	for _, c := range cases {
		t.Run(c.field, func(t *testing.T) {
			spec := newSpec(c.script)
			c.change(spec)
			got, _, err := run(t, dir, spec, nil)
			if err == nil && c.field == "mounts.options" {
				got = strings.Replace(got, ",inode64", "", 1)
			}
			if err != nil || got != c.want {
				t.Errorf("got %q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

// The kernel sets the adjustment of whoever shares a memory; ours is as before.
func TestOurOwnScoreStays(t *testing.T) {
	before, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	spec := newSpec("true")
	spec.Process.OOMScoreAdj = ptr(500)
	if _, _, err := run(t, rootfs(t), spec, nil); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil || string(after) != string(before) {
		t.Errorf("oom_score_adj was %s, is %s, %v", before, after, err)
	}
}

// TestJoinedNamespaces runs a process in the namespaces of another one.
func TestJoinedNamespaces(t *testing.T) {
	flags := map[specs.LinuxNamespaceType]string{"pid": "--pid", "network": "--net", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroup"}
	files := map[specs.LinuxNamespaceType]string{"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
	dir := rootfs(t)
	for kind, flag := range flags {
		t.Run(string(kind), func(t *testing.T) {
			other := exec.Command("unshare", flag, "--fork", "--kill-child", "sleep", "1000")
			out, _ := other.StdoutPipe()
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Process.Kill(); other.Wait(); out.Close() })
			pid := waitForSleep(t, other.Process.Pid)
			path := fmt.Sprintf("/proc/%d/ns/%s", pid, files[kind])
			want, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			spec := newSpec("readlink /proc/self/ns/" + files[kind])
			for i, ns := range spec.Linux.Namespaces {
				if ns.Type == kind {
					spec.Linux.Namespaces[i].Path = path
				}
			}
			got, _, err := run(t, dir, spec, nil)
			if err != nil || got != want {
				t.Errorf("in namespace %q, %v; want %q", got, err, want)
			}
		})
	}
}

// waitForSleep is the pid of the only child of pid, once it has executed sleep.
func waitForSleep(t *testing.T, pid int) int {
	t.Helper()
	for {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Fatal(err)
		}
		var child int
		if n, _ := fmt.Sscan(string(children), &child); n == 1 {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); string(name) == "sleep\n" {
				return child
			}
		}
	}
}

// TestKernelRefusals are what only the kernel can refuse: the error names it.
func TestKernelRefusals(t *testing.T) {
	dir := rootfs(t)
	for want, change := range map[string]func(*specs.Spec){
		"enter network namespace /proc/self/ns/mnt: invalid argument": func(s *specs.Spec) { s.Linux.Namespaces[5].Path = "/proc/self/ns/mnt" },
		"open ipc namespace /no/such: no such file or directory":      func(s *specs.Spec) { s.Linux.Namespaces[3].Path = "/no/such" },
		"open pid namespace /no/such: no such file or directory":      func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/no/such" },
		"enter the pid namespace: invalid argument":                   func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/proc/self/ns/mnt" },
		"set sysctl net.no.such: no such file or directory":           func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.no.such": "1"} },
		"set sysctl kernel.shmmni to x: invalid argument":             func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.shmmni": "x"} },
		"device /dev/x: the host has no char device 999:1": func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 999, Minor: 1}}
		},
		"device /dev/full: the host has no block device 1:7": func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/full", Type: "b", Major: 1, Minor: 7}}
		},
		"linux.devices /dev/sub/full: fileMode 0600 where the host has 0666": func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/sub/full", Type: "c", Major: 1, Minor: 7, FileMode: ptr(os.FileMode(0o600))}}
		},
		"set scheduler SCHED_FIFO: invalid argument": func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO} },
		"CAP_SYS_RESOURCE raises it): operation not permitted": func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 4e9, Hard: 4e9}}
		},
	} {
		t.Run(want, func(t *testing.T) {
			spec := newSpec("true")
			change(spec)
			if _, _, err := run(t, dir, spec, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// refused are fields and values that are refused by name.
var refused = map[string]func(*specs.Spec){
	"hooks":                            func(s *specs.Spec) { s.Hooks = &specs.Hooks{} },
	"process.apparmorProfile":          func(s *specs.Spec) { s.Process.ApparmorProfile = "strict" },
	"process.selinuxLabel":             func(s *specs.Spec) { s.Process.SelinuxLabel = "system_u:x" },
	"process.execCPUAffinity":          func(s *specs.Spec) { s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0"} },
	"linux.mountLabel":                 func(s *specs.Spec) { s.Linux.MountLabel = "system_u:x" },
	"linux.intelRdt":                   func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} },
	"linux.netDevices":                 func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} },
	"linux.memoryPolicy":               func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{} },
	"process.rlimits RLIMIT_X":         func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} },
	"process.rlimits RLIMIT_CORE":      func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}} },
	"process.scheduler SCHED_ISO":      func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedISO} },
	"process.ioPriority IOPRIO_NONE":   func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_NONE"} },
	"process.oomScoreAdj 1001":         func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(1001) },
	"linux.devices /dev/p of type":     func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/p", Type: "p"}} },
	"linux.sysctl kernel.panic":        func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.panic": "1"} },
	"linux.sysctl net/../kernel/panic": func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/../kernel/panic": "1"} },
	"linux.sysctl net.core.somaxconn": func(s *specs.Spec) {
		s.Linux.Namespaces = s.Linux.Namespaces[:5]
		s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "1"}
	},
	"linux.sysctl net.core.wmem_max": func(s *specs.Spec) { // by another name of our own namespace
		s.Linux.Namespaces[5].Path = "/proc/self/ns/net"
		s.Linux.Sysctl = map[string]string{"net.core.wmem_max": "1"}
	},
	"hostname without a uts namespace of its own": func(s *specs.Spec) { s.Linux.Namespaces[2].Path = "/proc/thread-self/ns/uts" },
	"linux.personality":                           func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "BSD"} },
	"linux.rootfsPropagation sideway":             func(s *specs.Spec) { s.Linux.RootfsPropagation = "sideway" },
	"hostname without": func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces[:2:2], s.Linux.Namespaces[3:]...)
	},
	"linux.namespaces without a mount": func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces[:1:1], s.Linux.Namespaces[2:]...)
	},
	"linux.namespaces mount /proc/1/ns/mnt": func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/proc/1/ns/mnt" },
	"linux.namespaces uts twice": func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "uts"})
	},
	"mounts: option remount": func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"remount"}})
	},
	"mounts: option size=1m": func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Source: "/etc", Options: []string{"bind", "size=1m"}})
	},
}

func TestRefusedFields(t *testing.T) {
	for want, change := range refused {
		spec := newSpec("true")
		change(spec)
		_, err := NewPlan(spec, Options{})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an UnsupportedError with %q", err, want)
		}
	}
}
