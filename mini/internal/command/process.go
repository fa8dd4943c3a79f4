// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit statuses of commands that run another one (POSIX, env).
const (
	cannotExecute = 126
	notFound      = 127
)

// runProgram runs args with our own input and output and returns its status.
func runProgram(c *Call, args []string) int {
	c.Out.Flush()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, os.Stdout, os.Stderr
	return exitStatus(c, args[0], cmd.Run())
}

func exitStatus(c *Call, name string, err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	}
	c.fail(name, unwrapExec(err))
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return notFound
	}
	return cannotExecute
}

func unwrapExec(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return unix.ENOENT
	}
	return err
}

// replaceBy turns the process into another program; it returns only a failure.
func replaceBy(c *Call, args, environ []string) int {
	c.Out.Flush()
	path, err := exec.LookPath(args[0])
	if errors.Is(err, exec.ErrDot) {
		err = nil
	}
	if err == nil {
		err = unix.Exec(path, args, environ)
	}
	return exitStatus(c, args[0], err)
}

func env(c *Call) int {
	opts, ok := c.parse("+iu:0C:", "ignore-environment=i", "unset=u", "null=0", "chdir=C")
	if !ok {
		return 125
	}
	environ := c.environ(opts)
	if dir := opts.value('C', ""); dir != "" {
		if err := os.Chdir(dir); err != nil {
			c.fail(dir, err)
			return 125
		}
	}
	if len(c.Args) > 0 {
		for _, pair := range environ {
			if path, ok := strings.CutPrefix(pair, "PATH="); ok {
				os.Setenv("PATH", path)
			}
		}
		return replaceBy(c, c.Args, environ)
	}
	end := "\n"
	if opts.has("0") {
		end = "\x00"
	}
	for _, pair := range environ {
		c.Out.WriteString(pair + end)
	}
	return 0
}

// environ is the environment env's arguments make of ours; what is left of
// c.Args is the command.
func (c *Call) environ(opts options) []string {
	environ := os.Environ()
	bare := len(c.Args) > 0 && c.Args[0] == "-"
	if bare {
		c.Args = c.Args[1:]
	}
	if bare || opts.has("i") {
		environ = nil
	}
	for _, name := range opts.values('u') {
		environ = setEnv(environ, name, nil)
	}
	for len(c.Args) > 0 && strings.Contains(c.Args[0], "=") {
		name, value, _ := strings.Cut(c.Args[0], "=")
		environ = setEnv(environ, name, &value)
		c.Args = c.Args[1:]
	}
	return environ
}

func setEnv(environ []string, name string, value *string) []string {
	var kept []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, name+"=") {
			kept = append(kept, pair)
		}
	}
	if value != nil {
		kept = append(kept, name+"="+*value)
	}
	return kept
}

func printenv(c *Call) int {
	if len(c.Args) == 0 {
		for _, pair := range os.Environ() {
			fmt.Fprintln(c.Out, pair)
		}
		return 0
	}
	for _, name := range c.Args {
		value, ok := os.LookupEnv(name)
		if !ok {
			c.status = 1
			continue
		}
		fmt.Fprintln(c.Out, value)
	}
	return c.status
}

func which(c *Call) int {
	opts, ok := c.parse("as")
	if !ok {
		return 1
	}
	for _, name := range c.Args {
		path, err := exec.LookPath(name)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			c.status = 1
			continue
		}
		if !opts.has("s") {
			fmt.Fprintln(c.Out, path)
		}
	}
	return c.status
}

func chroot(c *Call) int {
	if len(c.Args) == 0 {
		return c.usage("usage: chroot DIR [COMMAND [ARG]...]")
	}
	if err := unix.Chroot(c.Args[0]); err != nil {
		return c.fail(c.Args[0], err)
	}
	if err := unix.Chdir("/"); err != nil {
		return c.fail("/", err)
	}
	args := c.Args[1:]
	if len(args) == 0 {
		args = []string{"/bin/sh", "-i"}
	}
	return replaceBy(c, args, os.Environ())
}

func setsid(c *Call) int {
	opts, ok := c.parse("+cfw")
	if !ok || len(c.Args) == 0 {
		return c.usage("usage: setsid COMMAND [ARG]...")
	}
	if _, err := unix.Setsid(); err != nil || opts.has("f") { // a group leader cannot
		cmd := exec.Command(c.Args[0], c.Args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if !opts.has("w") {
			return exitStatus(c, c.Args[0], cmd.Start())
		}
		return exitStatus(c, c.Args[0], cmd.Run())
	}
	return replaceBy(c, c.Args, os.Environ())
}

func nohup(c *Call) int {
	if len(c.Args) == 0 {
		c.usage("missing operand")
		return 125
	}
	signal.Ignore(unix.SIGHUP)
	if _, err := unix.IoctlGetTermios(1, unix.TCGETS); err == nil {
		f, err := os.OpenFile("nohup.out", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return c.fail("nohup.out", err)
		}
		unix.Dup2(int(f.Fd()), 1)
		unix.Dup2(1, 2)
	}
	return replaceBy(c, c.Args, os.Environ())
}

// timeout's status is 124 where the time ran out.
func timeout(c *Call) int {
	opts, ok := c.parse("+s:k:fvp", "signal=s", "kill-after=k", "foreground=f", "preserve-status=p")
	if !ok || len(c.Args) < 2 {
		c.usage("usage: timeout [-s SIGNAL] [-k DURATION] DURATION COMMAND [ARG]...")
		return 125
	}
	limit, err := parseSeconds(c.Args[0])
	after, err2 := parseSeconds(opts.value('k', "0"))
	sig, err3 := parseSignal(opts.value('s', "TERM"))
	if err = errors.Join(err, err2, err3); err != nil {
		c.usage("%v", err)
		return 125
	}
	cmd := exec.Command(c.Args[1], c.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return exitStatus(c, c.Args[1], err)
	}
	expired := make(chan bool, 2)
	if limit > 0 {
		first := time.AfterFunc(seconds(limit), func() { expired <- true; cmd.Process.Signal(sig) })
		defer first.Stop()
		if after > 0 {
			second := time.AfterFunc(seconds(limit+after), func() { cmd.Process.Kill() })
			defer second.Stop()
		}
	}
	status := exitStatus(c, c.Args[1], cmd.Wait())
	if len(expired) > 0 && !opts.has("p") && status != 128+int(unix.SIGKILL) {
		return 124
	}
	return status
}

func seconds(f float64) time.Duration {
	return time.Duration(min(f, 1e9) * float64(time.Second))
}

func timeCommand(c *Call) int {
	if _, ok := c.parse("+pv"); !ok || len(c.Args) == 0 {
		return c.usage("usage: time COMMAND [ARG]...")
	}
	start := time.Now()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	status := exitStatus(c, c.Args[0], cmd.Run())
	fmt.Fprintf(c.Err, "real %.3f\n", time.Since(start).Seconds())
	if cmd.ProcessState != nil {
		fmt.Fprintf(c.Err, "user %.3f\nsys %.3f\n", cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds())
	}
	return status
}

// parseSignal takes a number or a name, with SIG or without.
func parseSignal(text string) (unix.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 64 {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("invalid signal '%s'", text)
}

// kill knows -SIGNAL, -s SIGNAL, -n NUMBER and -l.
func kill(c *Call) int {
	sig, args := unix.SIGTERM, c.Args
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		name := args[0][1:]
		args = args[1:]
		if name == "l" || name == "L" {
			return killList(c, args)
		}
		if (name == "s" || name == "n") && len(args) > 0 {
			name, args = args[0], args[1:]
		}
		var err error
		if sig, err = parseSignal(name); err != nil {
			return c.usage("%v", err)
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return c.usage("usage: kill [-SIGNAL] PID...")
	}
	for _, arg := range args {
		pid, err := strconv.Atoi(arg)
		if err != nil {
			c.errorf("invalid process id '%s'", arg)
		} else if err := unix.Kill(pid, sig); err != nil {
			c.errorf("(%d): %s", pid, Reason(err))
		}
	}
	return c.status
}

func killList(c *Call, args []string) int {
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			sig, err := parseSignal(arg)
			if err != nil {
				return c.usage("%v", err)
			}
			fmt.Fprintln(c.Out, int(sig))
			continue
		}
		if n > 128 {
			n -= 128
		}
		fmt.Fprintln(c.Out, strings.TrimPrefix(unix.SignalName(unix.Signal(n)), "SIG"))
	}
	if len(args) > 0 {
		return c.status
	}
	for n := 1; n < 32; n++ {
		fmt.Fprintf(c.Out, "%2d) %s\n", n, strings.TrimPrefix(unix.SignalName(unix.Signal(n)), "SIG"))
	}
	return 0
}
