// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// jobEnv makes the test program a shell of one job, for runJob.
const jobEnv = "STRATA_TEST_JOB"

// A job is a program on a terminal, under a shell that does nothing but what a
// test tells it: its prompt and its line editor are in nobody's way.
type job struct {
	t     testing.TB
	shell *exec.Cmd
	pid   int
	tell  *os.File
	told  *bufio.Reader
	from  *os.File // what told reads
}

// job starts a program in the foreground.
func (term *terminal) job(p *place, args ...string) *job {
	p.t.Helper()
	orders, tell := pipe(term.t)
	from, events := pipe(term.t)
	shell := exec.Command("/proc/self/exe", args...)
	shell.Dir, shell.Env = p.dir, append(p.env, jobEnv+"=1")
	shell.Stdin, shell.Stdout, shell.Stderr = term.own, term.own, term.own
	shell.ExtraFiles = []*os.File{orders, events}
	shell.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	err := shell.Start()
	orders.Close()
	events.Close()
	if err != nil {
		term.t.Fatal(err)
	}
	j := &job{t: term.t, shell: shell, tell: tell, told: bufio.NewReader(from), from: from}
	term.t.Cleanup(j.end)
	if _, err := fmt.Sscanf(j.event(), "begins %d", &j.pid); err != nil {
		term.t.Fatal(err)
	}
	return j
}

func pipe(t testing.TB) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// end kills the shell, and the kernel with it the job, stopped or not.
func (j *job) end() {
	j.shell.Process.Kill()
	j.shell.Wait()
	j.from.SetReadDeadline(time.Now().Add(patience))
	j.told.WriteTo(io.Discard) // until the job has ended too
	j.tell.Close()
	j.from.Close()
}

// event is what happened to the job next.
func (j *job) event() string {
	j.t.Helper()
	j.from.SetReadDeadline(time.Now().Add(patience))
	line, err := j.told.ReadString('\n')
	if err != nil {
		j.t.Fatalf("the job: %v after %q", err, line)
	}
	return line
}

func (j *job) expect(want string) {
	j.t.Helper()
	if got := j.event(); got != want+"\n" {
		j.t.Fatalf("the job: %q, want %q", got, want)
	}
}

// order waits until it is obeyed. It is "fg" or "bg", or "stay" for a job that is to be ended.
func (j *job) order(what string) {
	j.t.Helper()
	if _, err := fmt.Fprintln(j.tell, what); err != nil {
		j.t.Fatal(err)
	}
	j.expect("obeyed: " + what)
}

func becomeShell(command []string) int {
	if err := runJob(command); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runJob is the shell: it runs the command as a job of the terminal, notes on
// descriptor 4 what becomes of it, and reads on 3 how it is to go on.
func runJob(command []string) error {
	runtime.LockOSThread() // whose end is the job's, too (PR_SET_PDEATHSIG)
	unix.CloseOnExec(3)    // and the job keeps 4, so that its end is seen even after ours
	events, orders := os.NewFile(4, "events"), bufio.NewScanner(os.NewFile(3, "orders"))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Foreground: true, Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	signal.Ignore(unix.SIGTTOU, unix.SIGINT, unix.SIGQUIT) // which the job does not
	fmt.Fprintln(events, "begins", cmd.Process.Pid)
	for {
		status, err := awaitJob(cmd.Process.Pid)
		if err != nil {
			return err
		}
		if !status.Stopped() {
			fmt.Fprintln(events, jobsEnd(status))
			return nil
		}
		fmt.Fprintln(events, "stops:", unix.SignalName(status.StopSignal()))
		if !orders.Scan() {
			return nil
		}
		if err := obeyOrder(cmd.Process.Pid, orders.Text()); err != nil {
			return err
		}
		fmt.Fprintln(events, "obeyed:", orders.Text())
	}
}

// awaitJob waits for the job to stop or end, and takes the terminal from it.
func awaitJob(pid int) (status unix.WaitStatus, err error) {
	for {
		if _, err = unix.Wait4(pid, &status, unix.WUNTRACED, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return status, os.NewSyscallError("wait4", err)
	}
	return status, unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp())
}

func obeyOrder(pid int, order string) error {
	if order == "stay" {
		return nil
	}
	if order == "fg" {
		if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, pid); err != nil {
			return err
		}
	}
	return unix.Kill(-pid, unix.SIGCONT)
}

func jobsEnd(status unix.WaitStatus) string {
	if status.Signaled() {
		return "ends: " + unix.SignalName(status.Signal())
	}
	return fmt.Sprint("ends: ", status.ExitStatus())
}
