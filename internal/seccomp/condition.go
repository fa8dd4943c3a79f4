// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (seccomp(2)).
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16 // six of 64 bits
)

// condition is that of a rule on one argument. The kernel hands over all 64
// bits; those of a 32-bit process have zeros above.
type condition struct {
	index  uint
	op     specs.LinuxSeccompOperator
	value  uint64
	masked uint64 // what the bits of value must be (SCMP_CMP_MASKED_EQ)
}

func newCondition(a specs.LinuxSeccompArg) (condition, error) {
	c := condition{index: a.Index, op: a.Op, value: a.Value, masked: a.ValueTwo}
	if a.Index > 5 {
		return c, fmt.Errorf("there is no argument %d; a system call has those from 0 to 5", a.Index)
	}
	switch a.Op {
	case specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual,
		specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual:
		return c, nil
	}
	return c, fmt.Errorf("operator %q is unknown; use %s, %s, %s, %s, %s, %s or %s", a.Op, specs.OpEqualTo, specs.OpNotEqual,
		specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual)
}

// test emits what goes to yes where the condition holds and to no elsewhere, in
// two halves: the machine of a filter has 32 bits. Both machines that we compile
// for are little-endian.
func (c condition) test(a *assembler, yes, no label) label {
	switch c.op {
	case specs.OpMaskedEqual:
		return c.testMasked(a, yes, no)
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual:
		yes, no = no, yes
	}
	high, low := uint32(c.value>>32), uint32(c.value)
	switch c.op {
	case specs.OpEqualTo, specs.OpNotEqual:
		a.jump(unix.BPF_JEQ, low, yes, no)
		equal := a.load(c.offset())
		a.jump(unix.BPF_JEQ, high, equal, no)
	default:
		last := uint16(unix.BPF_JGT)
		if c.op == specs.OpGreaterEqual || c.op == specs.OpLessThan {
			last = unix.BPF_JGE
		}
		a.jump(last, low, yes, no)
		equal := a.load(c.offset())
		notAbove := a.jump(unix.BPF_JEQ, high, equal, no)
		a.jump(unix.BPF_JGT, high, yes, notAbove)
	}
	return a.load(c.offset() + 4)
}

func (c condition) testMasked(a *assembler, yes, no label) label {
	next := yes
	for half := range uint32(2) {
		shift := 32 * half
		mask, want := uint32(c.value>>shift), uint32(c.masked>>shift)
		if mask == 0 && want == 0 && (half == 1 || uint32(c.value>>32) != 0) {
			continue // any bits will do, and the other half decides
		}
		a.jump(unix.BPF_JEQ, want, next, no)
		a.mask(mask)
		next = a.load(c.offset() + 4*half)
	}
	return next
}

func (c condition) offset() uint32 { return offsetArgs + 8*uint32(c.index) }
