// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// data is struct seccomp_data.
type data struct {
	number, arch uint32
	args         [6]uint64
}

func (d data) word(offset uint32) (uint32, error) {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, d.number)
	b = binary.LittleEndian.AppendUint32(b, d.arch)
	b = binary.LittleEndian.AppendUint64(b, 0x1122334455667788) // where it was called from: no filter looks
	for _, a := range d.args {
		b = binary.LittleEndian.AppendUint64(b, a)
	}
	if offset%4 != 0 || int(offset)+4 > len(b) { // seccomp_check_filter in kernel/seccomp.c
		return 0, fmt.Errorf("load of offset %d", offset)
	}
	return binary.LittleEndian.Uint32(b[offset:]), nil
}

// run is the kernel's machine for a filter: it returns the verdict and how many
// instructions it took.
func run(f Filter, d data) (verdict uint32, steps int, err error) {
	var a uint32
	for at := 0; at < f.Len(); at++ {
		steps++
		i := f.Program[at*instructionSize:]
		code, jt, jf, k := binary.LittleEndian.Uint16(i), int(i[2]), int(i[3]), binary.LittleEndian.Uint32(i[4:])
		var holds bool
		switch code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if a, err = d.word(k); err != nil {
				return 0, steps, err
			}
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= k
			continue
		case unix.BPF_JMP | unix.BPF_JA:
			at += int(k)
			continue
		case unix.BPF_RET | unix.BPF_K:
			return k, steps, nil
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			holds = a == k
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			holds = a > k
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			holds = a >= k
		default:
			return 0, steps, fmt.Errorf("instruction %d: code %#x", at, code)
		}
		if holds {
			at += jt
		} else {
			at += jf
		}
	}
	return 0, steps, fmt.Errorf("no verdict")
}

func mustRun(t testing.TB, f Filter, d data) uint32 {
	t.Helper()
	verdict, _, err := run(f, d)
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	return verdict
}
