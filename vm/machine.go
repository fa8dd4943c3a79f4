// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// A machine is what QEMU is told.
type machine struct {
	kernel    kernel
	root      *os.File  // initramfs
	arguments string    // more of them for the kernel
	console   io.Writer // takes what the kernel and init say
	results   io.Writer // takes what the tests say: the second serial port
}

// kernelArguments: a kernel that panics restarts, which ends QEMU. Neither the
// watchdogs nor the loops that find out how quick a processor is work where a busy
// host gives time as it can. A clock that is not the TSC is a device, and so is a
// timer that is set anew for each sleep: QEMU takes long for one, and programs a
// system call. What hardens a kernel against its processor or against its own
// mistakes takes long too, and no test is about it.
const kernelArguments = "console=ttyS0 loglevel=6 panic=-1 oops=panic nowatchdog nosoftlockup " +
	"rcupdate.rcu_cpu_stall_suppress=1 tsc=reliable highres=off nohz=off lpj=2000000 no_timer_check " +
	"mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off "

// processor is one without much state to switch: what QEMU can emulate at most
// (-cpu max) takes it a fifth longer. rdrand is what getrandom(2) begins with.
const processor = "Nehalem,+rdrand,+fsgsbase"

// run runs the machine until it powers off, or ctx ends it. QEMU dies with this
// process, however that ends.
func (m machine) run(ctx context.Context) error {
	console, consoleEnd, err := stream(m.console)
	if err != nil {
		return err
	}
	results, resultsEnd, err := stream(m.results)
	if err != nil {
		return errors.Join(err, console.Close(), consoleEnd())
	}
	var complaints strings.Builder
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", processor, "-smp", "2", "-m", "2048",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:/dev/fd/3", "-serial", "file:/dev/fd/4",
		"-kernel", m.kernel.image, "-initrd", "/dev/fd/5", "-append", kernelArguments+m.arguments)
	cmd.ExtraFiles = []*os.File{console, results, m.root}
	cmd.Stderr = &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The signal comes when the thread dies that started QEMU (PR_SET_PDEATHSIG(2const)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	err = errors.Join(err, console.Close(), results.Close())
	if cmd.Process != nil {
		err = errors.Join(err, cmd.Wait())
	}
	err = errors.Join(err, consoleEnd(), resultsEnd())
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run the machine: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("run the machine: %w: %s", err, complaints.String())
	}
	return nil
}

// stream returns the end of a pipe that QEMU writes to, and what waits until all
// of it has reached w.
func stream(w io.Writer) (*os.File, func() error, error) {
	r, end, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(w, r)
		done <- errors.Join(err, r.Close())
	}()
	return end, func() error { return <-done }, nil
}

// trouble are lines of the kernel that no test causes. A cgroup that runs out of
// memory is none of them.
var trouble = regexp.MustCompile(`Kernel panic|BUG: |kernel BUG at|Oops: |general protection fault|WARNING: CPU|Unable to handle|UBSAN: |Out of memory: `)

// troubles returns the lines of the console that are.
func troubles(console string) (found []string) {
	for line := range strings.Lines(console) {
		if trouble.MatchString(line) || strings.Contains(line, "init: exit code") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
