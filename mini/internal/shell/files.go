// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// files maps the shell's descriptors 0 to 9 to the process's; -1 is closed.
// Redirections change the map and never the process's own low descriptors: Go's
// runtime may have its poller there.
type files [10]int

// inheritedFiles are those that were open when we started. What Go opened
// itself is close-on-exec.
func inheritedFiles() (f files) {
	for i := range f {
		f[i] = -1
		if flags, err := unix.FcntlInt(uintptr(i), unix.F_GETFD, 0); err == nil && (flags&unix.FD_CLOEXEC == 0 || i < 3) {
			f[i] = i
			if i > 2 {
				unix.CloseOnExec(i) // from now on children get it through the map
			}
		}
	}
	return f
}

// descriptor reads and writes a descriptor without owning it.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n == 0 && len(p) > 0 {
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write ends the shell where nobody reads any more, as SIGPIPE would a shell
// that has it at its default.
func (d descriptor) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := unix.Write(int(d), p[n:])
		switch err {
		case nil:
			n += m
		case unix.EINTR:
		case unix.EPIPE:
			os.Exit(statusSignal + int(unix.SIGPIPE))
		default:
			return n, err
		}
	}
	return n, nil
}

// withRedirects runs f with the redirections in force and undoes them, unless
// exec asked to keep them.
func (s *Shell) withRedirects(redirects []*syntax.Redirect, f func()) {
	before := s.files
	var opened []int
	for _, rd := range redirects {
		fd, err := s.redirect(rd)
		if fd >= 0 {
			opened = append(opened, fd)
		}
		if err != nil {
			s.errorf("%v", err)
			s.status = 1
			s.files = before
			closeAll(opened)
			return
		}
	}
	f()
	if s.keepFiles {
		s.keepFiles = false
		return
	}
	s.files = before
	closeAll(opened)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// redirect changes the map; it returns the descriptor it opened, or -1.
func (s *Shell) redirect(rd *syntax.Redirect) (opened int, err error) {
	target := 1
	switch rd.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc:
		target = 0
	}
	if rd.N != nil {
		if target, err = strconv.Atoi(rd.N.Value); err != nil || target >= len(s.files) {
			return -1, fmt.Errorf("%s: bad file descriptor", rd.N.Value)
		}
	}
	if rd.Op == syntax.Hdoc || rd.Op == syntax.DashHdoc {
		return s.hereDocument(rd, target)
	}
	word, err := expand.Literal(s.config(), rd.Word)
	if err != nil {
		return -1, err
	}
	if rd.Op == syntax.DplIn || rd.Op == syntax.DplOut {
		return -1, s.duplicate(target, word)
	}
	fd, err := s.openRedirect(rd.Op, word)
	if err != nil {
		return -1, fmt.Errorf("cannot %s %s: %s", openVerb(rd.Op), word, command.Reason(err))
	}
	s.files[target] = fd
	return fd, nil
}

func openVerb(op syntax.RedirOperator) string {
	if op == syntax.RdrIn {
		return "open"
	}
	return "create"
}

func (s *Shell) openRedirect(op syntax.RedirOperator, name string) (int, error) {
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC
	switch op {
	case syntax.RdrIn:
		flags = unix.O_RDONLY
	case syntax.RdrInOut:
		flags = unix.O_RDWR | unix.O_CREAT
	case syntax.AppOut:
		flags = unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND
	case syntax.RdrOut:
		var st unix.Stat_t
		if s.opts.noclobber && unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			return -1, unix.EEXIST
		}
	}
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o666)
		if err != unix.EINTR { // a fifo waits for its other end
			return fd, err
		}
	}
}

func (s *Shell) duplicate(target int, word string) error {
	if word == "-" {
		s.files[target] = -1
		return nil
	}
	source, err := strconv.Atoi(word)
	if err != nil || source < 0 || source >= len(s.files) || s.files[source] < 0 {
		return fmt.Errorf("%s: bad file descriptor", word)
	}
	s.files[target] = s.files[source]
	return nil
}

// hereDocument keeps the text in a memory file, which cannot fill up like a
// pipe.
func (s *Shell) hereDocument(rd *syntax.Redirect, target int) (int, error) {
	text, err := s.hereText(rd)
	if err != nil {
		return -1, err
	}
	fd, err := memoryFile(text)
	if err != nil {
		return -1, fmt.Errorf("here document: %s", command.Reason(err))
	}
	s.files[target] = fd
	return fd, nil
}

func (s *Shell) hereText(rd *syntax.Redirect) (string, error) {
	if rd.Hdoc == nil {
		return "", nil
	}
	if rd.Op != syntax.DashHdoc {
		return expand.Document(s.config(), rd.Hdoc)
	}
	word := &syntax.Word{Parts: append([]syntax.WordPart{}, rd.Hdoc.Parts...)}
	atStart := true
	for i, part := range word.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			atStart = false
			continue
		}
		lines := strings.Split(lit.Value, "\n")
		for j := range lines {
			if j > 0 || atStart {
				lines[j] = strings.TrimLeft(lines[j], "\t")
			}
		}
		atStart = false
		word.Parts[i] = &syntax.Lit{Value: strings.Join(lines, "\n")}
	}
	return expand.Document(s.config(), word)
}

func memoryFile(text string) (int, error) {
	fd, err := unix.MemfdCreate("sh", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if _, err := descriptor(fd).Write([]byte(text)); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
