// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// child is a process we started; others that end, as orphans do under process
// 1, are reaped and forgotten.
type child struct {
	done   bool
	status int
}

// start runs a program. Where it cannot, the reason has been printed and the
// pid returned, which is negative, stands for a process that ended so.
func (s *Shell) start(args, pairs []string, f files) int {
	path, status, reason := s.find(args[0], pairs)
	if status != 0 {
		s.errorf("%s: %s", args[0], reason)
		return s.ended(status)
	}
	environ := s.exported(pairs)
	pid, err := s.fork(path, args, environ, f[:])
	if errors.Is(err, unix.ENOEXEC) {
		pid, err = s.fork(self(), append([]string{"sh", path}, args[1:]...), environ, f[:])
	}
	if err != nil {
		s.errorf("%s: %s", args[0], command.Reason(err))
		return s.ended(statusCannotExecute)
	}
	return pid
}

func (s *Shell) fork(path string, args, environ []string, fds []int) (int, error) {
	attr := &syscall.ProcAttr{Env: environ}
	for _, fd := range fds {
		attr.Files = append(attr.Files, uintptr(fd)) // -1 is closed
	}
	pid, err := syscall.ForkExec(path, args, attr)
	if err == nil {
		s.children[pid] = &child{}
	}
	return pid, err
}

func (s *Shell) ended(status int) int {
	pid := -1
	for s.children[pid] != nil {
		pid--
	}
	s.children[pid] = &child{done: true, status: status}
	return pid
}

// wait waits for a child of ours and forgets it.
func (s *Shell) wait(pid int) int {
	for {
		c := s.children[pid]
		if c == nil {
			return statusNotFound
		}
		if c.done {
			delete(s.children, pid)
			return c.status
		}
		if _, err := s.reap(0); err != nil {
			return statusNotFound
		}
	}
}

// reap takes the status of one process that has ended; with WNOHANG it may
// find none.
func (s *Shell) reap(flags int) (found bool, err error) {
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &ws, flags, nil)
	if err == syscall.EINTR {
		return true, nil
	}
	if err != nil || pid == 0 {
		return false, err
	}
	c := s.children[pid]
	if c == nil {
		return true, nil
	}
	c.done, c.status = true, ws.ExitStatus()
	if ws.Signaled() {
		c.status = statusSignal + int(ws.Signal())
		s.tellSignal(pid, ws.Signal())
	}
	return true, nil
}

// reapAll takes what has ended by now.
func (s *Shell) reapAll() {
	for found := true; found; {
		found, _ = s.reap(unix.WNOHANG)
	}
}

// tellSignal says what ended a process in the foreground, but for the signals
// one sends on purpose.
func (s *Shell) tellSignal(pid int, sig unix.Signal) {
	switch sig {
	case unix.SIGINT:
		if s.interactive {
			io.WriteString(s.errOut(), "\n")
		}
		return
	case unix.SIGPIPE, unix.SIGTERM:
		return
	}
	if slices.Contains(s.jobs, pid) {
		return
	}
	text := sig.String()
	io.WriteString(s.errOut(), strings.ToUpper(text[:1])+text[1:]+"\n")
}

// startJob runs a statement in the background, with nothing as its input.
func (s *Shell) startJob(st *syntax.Stmt) {
	foreground := *st
	foreground.Background = false
	f := s.files
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil && !s.interactive {
		f[0] = null
	}
	pid := s.spawn(&foreground, f)
	if err == nil {
		unix.Close(null)
	}
	s.status = 0
	s.background = pid
	s.jobs = append(s.jobs, pid)
}

// spawn starts a statement as a process: directly where it is just a program,
// else in a subshell.
func (s *Shell) spawn(st *syntax.Stmt, f files) int {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || st.Negated || st.Background || len(call.Args) == 0 || !s.isProgram(call) {
		return s.subshell([]*syntax.Stmt{st}, f)
	}
	before := s.files
	s.files = f
	pid := 0
	s.withRedirects(st.Redirs, func() { pid = s.spawnProgram(call) })
	s.files = before
	if pid == 0 { // a redirection failed
		return s.ended(s.status)
	}
	return pid
}

// isProgram tells, before anything is expanded, what is neither a function nor
// a builtin.
func (s *Shell) isProgram(call *syntax.CallExpr) bool {
	name := call.Args[0].Lit()
	return name != "" && s.funcs[name] == nil && findBuiltin(name) == nil
}

func (s *Shell) spawnProgram(call *syntax.CallExpr) int {
	cfg := s.config()
	cfg.Env = environ{shell: s, overlay: map[string]expand.Variable{}}
	args, err := s.words(cfg, call.Args)
	var pairs []string
	if err == nil {
		pairs, err = s.pairs(cfg, call.Assigns)
	}
	if err != nil {
		s.errorf("%v", err)
		return s.ended(statusUsage)
	}
	if s.opts.xtrace {
		s.trace(args)
	}
	return s.start(args, pairs, s.files)
}

// pipeline runs its commands at once; each is a process.
func (s *Shell) pipeline(cmd *syntax.BinaryCmd) {
	stages := flatten(cmd)
	f := s.files
	input := -1
	var pids []int
	for i, st := range stages {
		f[0], f[1] = s.files[0], s.files[1]
		if input >= 0 {
			f[0] = input
		}
		var pipe [2]int
		if i < len(stages)-1 {
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
				s.errorf("pipe: %s", command.Reason(err))
				s.status = statusUsage
				break
			}
			f[1] = pipe[1]
		}
		pids = append(pids, s.spawn(st, f))
		if input >= 0 {
			unix.Close(input)
		}
		if i < len(stages)-1 {
			unix.Close(pipe[1])
			input = pipe[0]
		}
	}
	failed := 0
	for _, pid := range pids {
		if s.status = s.wait(pid); s.status != 0 {
			failed = s.status
		}
	}
	if s.opts.pipefail {
		s.status = failed
	}
}

func flatten(cmd *syntax.BinaryCmd) []*syntax.Stmt {
	var stages []*syntax.Stmt
	for _, st := range []*syntax.Stmt{cmd.X, cmd.Y} {
		if b, ok := st.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.Pipe && !st.Negated && len(st.Redirs) == 0 {
			stages = append(stages, flatten(b)...)
			continue
		}
		stages = append(stages, st)
	}
	return stages
}

// substitute is $(…): what it writes goes to w.
func (s *Shell) substitute(w io.Writer, cs *syntax.CmdSubst) error {
	if len(cs.Stmts) == 0 {
		s.subst = 0
		return nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	f := s.files
	f[1] = pipe[1]
	var pid int
	if len(cs.Stmts) == 1 {
		pid = s.spawn(cs.Stmts[0], f)
	} else {
		pid = s.subshell(cs.Stmts, f)
	}
	unix.Close(pipe[1])
	_, err := io.Copy(w, descriptor(pipe[0]))
	unix.Close(pipe[0])
	s.subst = s.wait(pid)
	return err
}

// waitFor is the wait builtin for one process; a trapped signal interrupts it
// (POSIX, wait).
func (s *Shell) waitFor(pid int) (status int, interrupted bool) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		s.reapAll()
		c := s.children[pid]
		if c == nil {
			return statusNotFound, false
		}
		if c.done {
			delete(s.children, pid)
			s.jobs = slices.DeleteFunc(s.jobs, func(p int) bool { return p == pid })
			return c.status, false
		}
		select {
		case <-ended:
		case sig := <-s.traps.pending:
			s.runTrap(sig)
			if s.jump != goesOn {
				return s.status, true
			}
			return statusSignal + int(sig.(unix.Signal)), true
		}
	}
}
