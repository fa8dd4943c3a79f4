// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// assembler makes a program from its end: what an instruction jumps to is there
// before it, so every distance is known and no jump needs to be mended later.
// (Classic BPF jumps only forward.)
type assembler struct {
	code []unix.SockFilter // in reverse
	// copies is the latest stand-in of an instruction that jumps reach no more.
	copies map[label]label
	// returns is the instruction that returns a value.
	returns map[uint32]label
}

// label is an instruction, by its index from the program's end.
type label int

// furthest is the most instructions that a conditional jump can skip.
const furthest = 255

func newAssembler() *assembler {
	return &assembler{copies: map[label]label{}, returns: map[uint32]label{}}
}

// emit puts an instruction in front of all others.
func (a *assembler) emit(code uint16, k uint32) label {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k})
	return label(len(a.code) - 1)
}

// skips is how many instructions one that is emitted next jumps over to get to t.
func (a *assembler) skips(t label) int { return len(a.code) - 1 - int(t) }

// load reads the word at an offset of struct seccomp_data.
func (a *assembler) load(offset uint32) label {
	return a.emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset)
}

// mask keeps the bits of m.
func (a *assembler) mask(m uint32) label { return a.emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, m) }

// ret ends the program with a verdict.
func (a *assembler) ret(value uint32) label {
	if at, ok := a.returns[value]; ok {
		return at
	}
	a.returns[value] = a.emit(unix.BPF_RET|unix.BPF_K, value)
	return a.returns[value]
}

// jump compares with k by BPF_JEQ, BPF_JGT or BPF_JGE.
func (a *assembler) jump(comparison uint16, k uint32, yes, no label) label {
	no = a.near(no)
	yes = a.near(yes)
	skipYes, skipNo := a.skips(yes), a.skips(no)
	at := a.emit(unix.BPF_JMP|unix.BPF_K|comparison, k)
	a.code[at].Jt, a.code[at].Jf = uint8(skipYes), uint8(skipNo)
	return at
}

// near is t, or a stand-in of it close enough for a conditional jump with one
// more stand-in between.
func (a *assembler) near(t label) label {
	if a.skips(t) < furthest {
		return t
	}
	if c, ok := a.copies[t]; ok && a.skips(c) < furthest {
		return c
	}
	if i := a.code[t]; i.Code == unix.BPF_RET|unix.BPF_K {
		a.copies[t] = a.emit(i.Code, i.K)
	} else {
		a.copies[t] = a.emit(unix.BPF_JMP|unix.BPF_JA, uint32(a.skips(t)))
	}
	return a.copies[t]
}

// program is all that was emitted, in the order in which it runs.
func (a *assembler) program() []unix.SockFilter {
	code := slices.Clone(a.code)
	slices.Reverse(code)
	return code
}
