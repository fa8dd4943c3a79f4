// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

var initStart, initEnd uintptr // addresses of the assembly between them

// InitProgram returns an executable of a few hundred bytes for process 1 of a
// pid namespace, in a sealed memfd that the caller closes. It reaps whatever is
// left to it, forwards every signal it can catch to process 2, and exits as
// process 2 does, with 128 and the number when that was a signal.
//
// It must be executed with every signal blocked and with process 2 already
// made. It exists so that no copy of our own binary, which is large and could
// be reached through /proc/1/exe (CVE-2019-5736), lives in a container.
func InitProgram() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("init", flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before 6.3, when every memfd could be executed
		fd, err = unix.MemfdCreate("init", flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "init")
	if _, err = f.Write(initELF()); err == nil {
		const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Elf64_Ehdr and Elf64_Phdr of elf(5).
type (
	elfHeader struct {
		Ident                                      [16]byte
		Type, Machine                              uint16
		Version                                    uint32
		Entry, Phoff, Shoff                        uint64
		Flags                                      uint32
		Ehsize, Phentsize, Phnum, Shentsize, Shnum uint16
		Shstrndx                                   uint16
	}
	elfSegment struct {
		Type, Flags                                uint32
		Offset, Vaddr, Paddr, Filesz, Memsz, Align uint64
	}
)

const (
	elfExecutable = 2
	elfLoad       = 1
	elfReadExec   = 4 | 1
)

var elfMachines = map[string]uint16{"amd64": 62, "arm64": 183}

// initELF wraps the code into the smallest file that execve(2) takes: a header
// and one segment that is read and executed.
func initELF() []byte {
	const base, headers = 0x400000, 64 + 56
	code := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), initStart)), initEnd-initStart)
	size := uint64(headers + len(code))
	header := elfHeader{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, // 64 bits, little-endian, version 1
		Type:  elfExecutable, Machine: elfMachines[runtime.GOARCH], Version: 1,
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elfSegment{
		Type: elfLoad, Flags: elfReadExec, Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, header)
	binary.Write(&b, binary.LittleEndian, segment)
	b.Write(code)
	return b.Bytes()
}
