// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Replacement is a program of a few hundred bytes that makes system calls and
// has one thread. A process that is replaced by it keeps its process id, its
// parent and its descriptors, and can do what a process of Go cannot: join a user
// namespace (setns(2): "A multithreaded process may not change user namespace").
// The last call executes what it is all for. Its zero value is empty.
type Replacement struct {
	calls []replacementCall
	data  []byte // what calls point to
}

// replacementCall is read by the assembly at fixed offsets.
type replacementCall struct {
	Nr            uint64
	Args          [6]uint64
	Message, Size uint64 // what to write to standard error if the call fails
	Tolerate      uint64 // go on after an error
}

const (
	replacementCalls = 16 // room in the file: a constant distance makes every address known beforehand
	replacementData  = elfBase + elfHeaders + 8 + replacementCalls*80
)

// Pointer keeps b in the program and returns its address there.
func (r *Replacement) Pointer(b []byte) uintptr {
	for len(r.data)%8 != 0 {
		r.data = append(r.data, 0)
	}
	at := replacementData + len(r.data)
	r.data = append(r.data, b...)
	return uintptr(at)
}

// String is Pointer for a string with a NUL behind it.
func (r *Replacement) String(s string) uintptr { return r.Pointer(append([]byte(s), 0)) }

// Strings is Pointer for an array as execve(2) takes it.
func (r *Replacement) Strings(ss []string) uintptr {
	var array []byte
	for _, s := range ss {
		array = binary.NativeEndian.AppendUint64(array, uint64(r.String(s)))
	}
	return r.Pointer(binary.NativeEndian.AppendUint64(array, 0))
}

// Call adds a system call, at most 16 in all. If it fails the program writes
// message as a line and exits with 125; with an empty message it goes on.
func (r *Replacement) Call(message string, nr uintptr, args ...uintptr) {
	c := replacementCall{Nr: uint64(nr)}
	for i, a := range args {
		c.Args[i] = uint64(a)
	}
	if message == "" {
		c.Tolerate = 1
	} else {
		c.Message, c.Size = uint64(r.String(message+"\n")), uint64(len(message)+1)
	}
	r.calls = append(r.calls, c)
}

// Exec replaces this process. It returns only if it could not.
func (r *Replacement) Exec() error {
	f, err := memfdProgram("strata", r.elf())
	if err != nil {
		return err
	}
	defer f.Close()
	path := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	return &os.PathError{Op: "execute", Path: path, Err: unix.Exec(path, []string{"strata"}, nil)}
}

// elf is the file: headers, the number of calls, calls, what they point to, code.
func (r *Replacement) elf() []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, uint64(len(r.calls)))
	binary.Write(&b, binary.LittleEndian, r.calls)
	b.Write(make([]byte, (replacementCalls-len(r.calls))*int(unsafe.Sizeof(replacementCall{}))))
	b.Write(r.data)
	b.Write(make([]byte, -b.Len()&15))
	code := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), replacementStart)), replacementEnd-replacementStart)
	entry := b.Len()
	b.Write(code)
	return elfFile(b.Bytes(), entry)
}

var replacementStart, replacementEnd uintptr // addresses of the assembly between them
