// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Launcher is a program of a few hundred bytes, in a sealed memfd, that
// executes another. A child that becomes it first has nothing of ours left when
// the kernel looks for the other: /proc/self/exe, which that may be a link to or
// a script for, is then the launcher and not our own binary. Somebody in the same
// pid namespace could open that by /proc/PID/exe, and wait until it can be
// written (CVE-2019-5736).
//
// The child must execute Program with LauncherErrors, not close-on-exec, as
// descriptor 3, and the parent calls Await. Close follows in any case.
type Launcher struct {
	// Program is the executable; its descriptor is none that LauncherErrors
	// could overwrite.
	Program *os.File
	// Errors is where the program writes to if it could execute nothing.
	Errors *os.File
	// Orphan: the child is another than the process that Await is given, and
	// outlives it.
	Orphan bool
	read   *os.File
	name   string
	count  int
}

// LauncherErrors is the descriptor that a Launcher's program writes to.
const LauncherErrors = 3

var launcherStart, launcherEnd uintptr // addresses of the assembly between them

// NewLauncher makes a launcher that tries paths one after the other with args and
// env, as execvp(3) does. There is at least one path.
func NewLauncher(paths, args, env []string) (*Launcher, error) {
	program, err := memfdProgram("launcher", launcherELF(paths, args, env))
	if err != nil {
		return nil, err
	}
	defer program.Close()
	l := &Launcher{name: args[0], count: len(paths)}
	if l.Program, err = beyond(program); err != nil {
		return nil, err
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, errors.Join(os.NewSyscallError("pipe2", err), l.Close())
	}
	write := os.NewFile(uintptr(ends[1]), "pipe")
	defer write.Close()
	l.read = os.NewFile(uintptr(ends[0]), "pipe")
	if l.Errors, err = beyond(write); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// beyond is f at a number above LauncherErrors: what is there is put aside, and
// dup3(2) refuses to put a descriptor where it is.
func beyond(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, LauncherErrors+1)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Close frees what the launcher holds here.
func (l *Launcher) Close() error {
	var errs []error
	for _, f := range []*os.File{l.Program, l.Errors, l.read} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Await waits until the program of p, a launcher so far, has been executed. If it
// could not be, the error is an *Error with Exec set and p is gone.
func (l *Launcher) Await(p *Process) error {
	err := l.Errors.Close() // the last end but the child's
	l.Errors = nil
	if err == nil {
		err = l.outcome(p)
	}
	if err != nil {
		return errors.Join(err, p.discard())
	}
	return nil
}

// outcome waits for the pipe's end, which execve closes, or for errors in it. A
// process in the container can hold the pipe open; the end of p ends that.
func (l *Launcher) outcome(p *Process) error {
	fds := []unix.PollFd{{Fd: int32(l.read.Fd()), Events: unix.POLLIN}, {Fd: int32(p.Pidfd.Fd()), Events: unix.POLLIN}}
	if l.Orphan {
		fds = fds[:1]
	}
	for {
		if _, err := unix.Poll(fds, -1); err == nil {
			break
		} else if err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
	if fds[0].Revents == 0 {
		return nil
	}
	results := make([]byte, 8*l.count)
	n, err := unix.Read(int(l.read.Fd()), results)
	if err != nil {
		return os.NewSyscallError("read", err)
	}
	return l.choose(results[:n&^7])
}

// choose is the error of the first path that is there, or of the first. The last
// result stands first.
func (l *Launcher) choose(results []byte) error {
	var failed *Error
	for ; len(results) > 0; results = results[:len(results)-8] {
		errno := unix.Errno(-int64(binary.NativeEndian.Uint64(results[len(results)-8:])))
		if failed == nil || notFound(failed.Errno) && !notFound(errno) {
			failed = &Error{Call: l.name, Exec: true, Errno: errno}
		}
	}
	if failed == nil {
		return nil
	}
	return failed
}

// launcherELF is the file: count, arguments, environment, paths, what those point
// to, code.
func launcherELF(paths, args, env []string) []byte {
	head := make([]uint64, 3, 3+len(paths))
	data := pointed{at: elfBase + elfHeaders + 8*cap(head)}
	head[0], head[1], head[2] = uint64(len(paths)), uint64(data.strings(args)), uint64(data.strings(env))
	for _, path := range paths {
		head = append(head, uint64(data.string(path)))
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, head)
	b.Write(data.bytes)
	b.Write(make([]byte, -b.Len()&15))
	entry := b.Len()
	b.Write(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), launcherStart)), launcherEnd-launcherStart))
	return elfFile(b.Bytes(), entry)
}

// pointed is what addresses in a file lead to: at is where its first byte will be.
type pointed struct {
	at    int
	bytes []byte
}

func (p *pointed) string(s string) uintptr {
	at := p.at + len(p.bytes)
	p.bytes = append(append(p.bytes, s...), 0)
	return uintptr(at)
}

// strings is an array as execve(2) takes it.
func (p *pointed) strings(ss []string) uintptr {
	var array []byte
	for _, s := range ss {
		array = binary.NativeEndian.AppendUint64(array, uint64(p.string(s)))
	}
	p.bytes = append(p.bytes, make([]byte, -len(p.bytes)&7)...)
	at := p.at + len(p.bytes)
	p.bytes = append(p.bytes, array...)
	p.bytes = binary.NativeEndian.AppendUint64(p.bytes, 0)
	return uintptr(at)
}
