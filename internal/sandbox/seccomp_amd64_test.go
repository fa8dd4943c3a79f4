// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// caller is a program that makes one system call without arguments, by
// `int $0x80` as i386 programs do or by `syscall`, and exits with its errno.
func caller(t *testing.T, path string, number uint32, i386 bool) {
	t.Helper()
	code := binary.LittleEndian.AppendUint32([]byte{0xb8}, number) // mov $number, %eax
	code = append(code, 0x31, 0xdb, 0x31, 0xff)                    // xor %ebx, %ebx; xor %edi, %edi
	if i386 {
		code = append(code, 0xcd, 0x80)
	} else {
		code = append(code, 0x0f, 0x05)
	}
	code = append(code, 0xf7, 0xd8, 0x89, 0xc7)        // neg %eax; mov %eax, %edi
	code = append(code, 0xb8, 60, 0, 0, 0, 0x0f, 0x05) // exit
	const base, headers = 0x400000, 64 + 56
	elf := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 15: 0}, 2, 0, 62, 0, 1, 0, 0, 0)
	for _, word := range []uint64{base + headers, 64, 0} { // entry, program headers, section headers
		elf = binary.LittleEndian.AppendUint64(elf, word)
	}
	elf = append(elf, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	elf = append(elf, 1, 0, 0, 0, 5, 0, 0, 0) // one segment to load, read and executed
	size := uint64(headers + len(code))
	for _, word := range []uint64{0, base, base, size, size, 0x1000} {
		elf = binary.LittleEndian.AppendUint64(elf, word)
	}
	if err := os.WriteFile(path, append(elf, code...), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestSeccompArchitectures makes system calls in the three ways of an x86_64
// kernel, under filters that know of them and that do not.
func TestSeccompArchitectures(t *testing.T) {
	const getpid64, getpid32, x32Bit, killed = 39, 20, 0x40000000, -1
	all := []specs.Arch{specs.ArchX86, specs.ArchX32}
	dir := rootfs(t)
	for _, c := range []struct {
		name   string
		number uint32
		i386   bool
		archs  []specs.Arch
		want   int
	}{
		{"x86_64", getpid64, false, nil, int(unix.ERANGE)},
		{"x86_64 of three", getpid64, false, all, int(unix.ERANGE)},
		{"i386", getpid32, true, all, int(unix.ERANGE)},
		{"i386 of none", getpid32, true, nil, killed},
		{"i386, another number", getpid64, true, all, int(unix.EFAULT)}, // mkdir, of no name
		{"x32", getpid64 | x32Bit, false, all, int(unix.ERANGE)},
		{"x32 of none", getpid64 | x32Bit, false, nil, killed},
		{"x32 of i386", getpid64 | x32Bit, false, all[:1], killed},
		{"no call", 0xffffffff, false, nil, int(unix.ENOSYS)},
	} {
		caller(t, filepath.Join(dir, "caller"), c.number, c.i386)
		errno := uint(unix.ERANGE)
		spec := newSpec("")
		spec.Process.Args = []string{"/caller"}
		spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow, Architectures: c.archs,
			Syscalls: []specs.LinuxSyscall{{Names: []string{"getpid"}, Action: specs.ActErrno, ErrnoRet: &errno}},
		}
		if _, code, err := run(t, dir, spec, nil); err != nil || code != c.want {
			t.Errorf("%s: exit code %d, %v; want %d", c.name, code, err, c.want)
		}
	}
}
