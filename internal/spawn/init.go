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
	return memfdProgram("init", initELF())
}

// memfdProgram is an executable in a sealed memfd that the caller closes.
func memfdProgram(name string, elf []byte) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before 6.3, when every memfd could be executed
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err = f.Write(elf); err == nil {
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
	elfBase       = 0x400000 // where the file is in memory
)

var elfMachines = map[string]uint16{"amd64": 62, "arm64": 183}

// initELF is the init program as a file.
func initELF() []byte {
	code := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), initStart)), initEnd-initStart)
	return elfFile(code, 0)
}

// elfHeaders is how many bytes stand before the content of an elfFile.
const elfHeaders = 64 + 56

// elfFile wraps content, of which the code begins at entry, into the smallest
// file that execve(2) takes: a header and one segment that is read and executed.
func elfFile(content []byte, entry int) []byte {
	size := uint64(elfHeaders + len(content))
	header := elfHeader{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, // 64 bits, little-endian, version 1
		Type:  elfExecutable, Machine: elfMachines[runtime.GOARCH], Version: 1,
		Entry: elfBase + elfHeaders + uint64(entry), Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elfSegment{
		Type: elfLoad, Flags: elfReadExec, Vaddr: elfBase, Paddr: elfBase, Filesz: size, Memsz: size, Align: 0x1000,
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, header)
	binary.Write(&b, binary.LittleEndian, segment)
	b.Write(content)
	return b.Bytes()
}
