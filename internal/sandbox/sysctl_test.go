// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSysctlNamespace(t *testing.T) {
	for name, want := range map[string]specs.LinuxNamespaceType{
		"net.ipv4.ip_forward": "network", "net/ipv4/ip_forward": "network", "net.ipv4.conf.eth0/100.forwarding": "network",
		"net/ipv4/conf/eth0.100/forwarding": "network", "kernel.shmmax": "ipc", "kernel/msgmni": "ipc", "kernel.sem": "ipc",
		"fs.mqueue.msg_max": "ipc", "kernel.domainname": "uts",
		"": "", "net": "", "kernel.panic": "", "kernel.shmmaxx": "", "kernel.hostname": "", "fs.mqueue": "", "fs.file-max": "", "vm.overcommit_memory": "",
		"net/../kernel/panic": "", "net/..": "", "net.": "", "net..x": "", ".net.x": "", "/net/x": "", "net/x\x00y": "",
	} {
		if got := SysctlNamespace(name); got != want {
			t.Errorf("%q belongs to %q, want %q", name, got, want)
		}
	}
}

// FuzzSysctlNamespace checks that what is taken for a namespace's is in one of
// the places where such parameters are.
func FuzzSysctlNamespace(f *testing.F) {
	for _, seed := range []string{"net.ipv4.ip_forward", "net/../kernel/panic", "net.a/../b", "fs.mqueue.x", "./net", "net/./x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if SysctlNamespace(name) == "" {
			return
		}
		at := path.Clean("/proc/sys/" + sysctlPath(name))
		inside := func(dir string) bool { return strings.HasPrefix(at, "/proc/sys/"+dir) }
		if !slices.ContainsFunc([]string{"net", "fs/mqueue", "kernel/msg", "kernel/shm", "kernel/sem", "kernel/domainname"}, inside) || strings.ContainsRune(at, 0) {
			t.Errorf("%q is %s", name, at)
		}
	})
}
