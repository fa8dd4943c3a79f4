// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"strings"
	"testing"
)

// FuzzProfile compiles whatever parses, and holds the program to what the kernel
// checks of one and to the profile.
func FuzzProfile(f *testing.F) {
	f.Add(builtin, uint32(41), uint64(40))
	f.Add(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":5,
		"args":[{"index":1,"value":4294967296,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]}]}`, uint32(0), uint64(1<<32))
	f.Add(`{"defaultAction":"SCMP_ACT_KILL","architectures":["SCMP_ARCH_X32"],"syscalls":[{"name":"ioctl","action":"SCMP_ACT_TRAP",
		"args":[{"index":1,"value":1,"op":"SCMP_CMP_NE"},{"index":1,"value":2,"op":"SCMP_CMP_LT"}]}]}`, uint32(1<<30+514), uint64(3))
	machines := map[string]*interpreter{"amd64": newInterpreter("amd64"), "arm64": newInterpreter("arm64")}
	f.Fuzz(func(t *testing.T, profile string, number uint32, argument uint64) {
		p, err := Parse([]byte(profile))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		for arch, in := range machines {
			target := Target{Arch: arch, Kernel: Kernel{6, 1}}
			s, err := p.Resolve(target)
			if err != nil {
				t.Fatal(err)
			}
			filter, err := Compile(s, arch)
			if err != nil {
				continue
			}
			if n := filter.Len(); n == 0 || n > maxInstructions || len(filter.Program)%instructionSize != 0 {
				t.Fatalf("%d instructions", n)
			}
			for _, audit := range auditArchs[arch] {
				d := data{number: number, arch: audit, args: [6]uint64{argument, argument, argument, argument, argument, argument}}
				if got, want := mustRun(t, filter, d), in.verdict(s, d); got != want {
					t.Fatalf("%s %+v: %#x, want %#x", arch, d, got, want)
				}
			}
		}
	})
}

// FuzzUnmarshal takes nothing but what Marshal makes.
func FuzzUnmarshal(f *testing.F) {
	f.Add(Filter{Flags: 2, Program: []byte("8 bytes.")}.Marshal())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		filter, ok := Unmarshal(data)
		if ok && string(filter.Marshal()) != string(data) {
			t.Errorf("%q is taken", data)
		}
	})
}
