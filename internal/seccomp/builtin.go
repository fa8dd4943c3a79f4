// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	_ "embed"
	"slices"
)

// builtin is Docker's default profile as github.com/moby/profiles/seccomp has
// it, whose licence is ours.
//
//go:embed default.json
var builtin string

//go:embed default.sha256
var builtinDigest string

// Builtin is Docker's default profile, in its JSON.
func Builtin() string { return builtin }

// BuiltinDigest is the SHA-256 of Builtin in hexadecimal digits.
func BuiltinDigest() string { return builtinDigest }

// conditional are the capabilities with which the default profile allows more.
var conditional = []string{
	"CAP_BPF", "CAP_DAC_READ_SEARCH", "CAP_PERFMON", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT",
	"CAP_SYS_MODULE", "CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
}

// usual is the one of those that a container has unless it is asked for otherwise.
const usual = "CAP_SYS_CHROOT"

// BuiltinTarget is what the ready-made program for arch was compiled for. The
// kernel is the oldest for which it is right: the default profile asks for 4.8,
// and nothing here runs on an older one.
func BuiltinTarget(arch string) Target {
	return Target{Arch: arch, Capabilities: []string{usual}, Kernel: Kernel{4, 8}}
}

// Ready returns the default profile's filter on this machine for a process whose
// bounding set is capabilities, if that is the usual one.
func Ready(capabilities []string) (f Filter, ok bool) {
	for _, c := range conditional {
		if slices.Contains(capabilities, c) != (c == usual) {
			return f, false
		}
	}
	return Filter{Program: readyProgram[:len(readyProgram):len(readyProgram)]}, len(readyProgram) > 0
}
