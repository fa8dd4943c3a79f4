// SPDX-License-Identifier: Apache-2.0

// Package seccomp compiles profiles of system calls to the classic BPF programs
// that seccomp(2) takes: the runtime specification's form, and Docker's, whose
// rules may depend on capabilities, architecture and kernel. It has Docker's
// default profile, and ready-made programs of it.
//
// A verdict is found as libseccomp and runc find it, so that a profile means the
// same here; Compile says what that is. The compiler's way is another: the
// numbers of an architecture are cut into ranges with one verdict each, among
// which the program searches by halves.
package seccomp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Version is that of the compiler: programs of another may differ.
const Version = 1

// maxInstructions is BPF_MAXINSNS, the most that the kernel takes.
const maxInstructions = 4096

// A Filter is a compiled profile.
type Filter struct {
	// Flags are SECCOMP_FILTER_FLAG_* for seccomp(2).
	Flags uint32
	// Program is an array of struct sock_filter in the machine's own byte
	// order, as seccomp(2) reads it. It is not to be written to.
	Program []byte
}

// instructionSize is that of struct sock_filter.
const instructionSize = 8

// Len is the number of instructions.
func (f Filter) Len() int { return len(f.Program) / instructionSize }

func bytesOf(instructions []unix.SockFilter) []byte {
	program := make([]byte, 0, len(instructions)*instructionSize)
	for _, i := range instructions {
		program = binary.NativeEndian.AppendUint16(program, i.Code)
		program = append(program, i.Jt, i.Jf)
		program = binary.NativeEndian.AppendUint32(program, i.K)
	}
	return program
}

// magic begins a filter in a file (docs/format.md).
const magic = "strata-seccomp 1\n"

// Marshal is the filter as a file: flags, program and a checksum.
func (f Filter) Marshal() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), f.Flags)
	b = append(b, f.Program...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// MaxFile is the size of the largest file that Marshal makes.
const MaxFile = len(magic) + 4 + maxInstructions*instructionSize + sha256.Size

// Unmarshal takes only what Marshal has made, whole. The filter refers to data.
func Unmarshal(data []byte) (f Filter, ok bool) {
	body := len(data) - sha256.Size
	program := len(magic) + 4
	if body < program || len(data) > MaxFile || !bytes.HasPrefix(data, []byte(magic)) {
		return f, false
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return f, false
	}
	f = Filter{Flags: binary.LittleEndian.Uint32(data[len(magic):]), Program: data[program:body]}
	return f, len(f.Program) > 0 && len(f.Program)%instructionSize == 0
}
