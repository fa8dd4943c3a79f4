// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// convention is one of the ways in which a process calls the kernel, as
// seccomp(2) tells them apart, with the spaces of its numbers in ascending order.
type convention struct {
	audit  uint32 // AUDIT_ARCH_* in struct seccomp_data
	spaces []space
}

// space is a range of numbers that are given out one after the other.
type space struct {
	arch        specs.Arch
	column      column
	first, last uint32
}

const (
	x32Bit     = 0x40000000 // __X32_SYSCALL_BIT: x32 has x86_64's audit number
	armPrivate = 0x0f0000   // __ARM_NR_BASE
	// noCall is the number of no system call: a tracer sets it to have one left
	// out (seccomp(2), "SECCOMP_RET_TRACE").
	noCall = ^uint32(0)
)

// conventions of a machine, by GOARCH, its own first.
func conventions(arch string) ([]convention, error) {
	switch arch {
	case "amd64":
		return []convention{
			{unix.AUDIT_ARCH_X86_64, []space{
				{specs.ArchX86_64, columnAMD64, 0, x32Bit - 1},
				{specs.ArchX32, columnX32, x32Bit, noCall - 1},
			}},
			{unix.AUDIT_ARCH_I386, []space{{specs.ArchX86, columnI386, 0, noCall - 1}}},
		}, nil
	case "arm64":
		return []convention{
			{unix.AUDIT_ARCH_AARCH64, []space{{specs.ArchAARCH64, columnARM64, 0, noCall - 1}}},
			{unix.AUDIT_ARCH_ARM, []space{
				{specs.ArchARM, columnARM, 0, armPrivate - 1},
				{specs.ArchARM, columnARM, armPrivate, noCall - 1},
			}},
		}, nil
	}
	return nil, fmt.Errorf("architecture %s: seccomp filters are made for amd64 and arm64 only", arch)
}

// architectures of a profile are known names; those that no process on this
// machine can have mean nothing.
var architectures = []specs.Arch{
	specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64,
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
	specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X,
	specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

func checkArchitectures(list []specs.Arch) error {
	for _, a := range list {
		if !slices.Contains(architectures, a) {
			return fmt.Errorf("architecture %q is unknown; use names such as %s", a, specs.ArchX86_64)
		}
	}
	return nil
}
