// SPDX-License-Identifier: Apache-2.0

// Command vm runs tests in a virtual machine: on Debian 12's kernel, 6.1, with
// cgroup v2 and nothing of the host but its programs. QEMU emulates the
// processor, so that neither KVM nor privilege is needed. It is run in the
// module's root (make test-vm), and its arguments name the packages to test.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	cache     string
	timeout   time.Duration
	run       string
	arguments string
	verbose   bool
	packages  []string
}

func main() {
	var o options
	flag.StringVar(&o.cache, "cache", "bin/vm", "`directory` for the kernel")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Minute, "after which the machine is ended")
	flag.StringVar(&o.run, "run", "", "only tests that match this `pattern`")
	flag.StringVar(&o.arguments, "append", "", "more `arguments` for the kernel")
	flag.BoolVar(&o.verbose, "v", false, "show each test and the console")
	flag.Parse()
	o.packages = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := o.test(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		stop()
		os.Exit(1)
	}
}

// test makes the machine, runs it, and returns an error unless all was well.
func (o options) test(ctx context.Context, report io.Writer) error {
	suites, err := o.suites()
	if err != nil {
		return err
	}
	k, err := fetchKernel(ctx, o.cache)
	if err != nil {
		return err
	}
	root, err := makeRoot(ctx, k, suites)
	if err != nil {
		return err
	}
	defer root.Close()
	var console bytes.Buffer
	r := newResults(report, o.verbose, maySkip())
	m := machine{kernel: k, root: root, arguments: o.arguments, console: &console, results: r}
	if o.verbose {
		m.console = io.MultiWriter(&console, report)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not through after %v", o.timeout))
	defer cancel()
	err = m.run(ctx)
	return errors.Join(err, verdict(r, suites, console.String()))
}

// suites are those that were asked for.
func (o options) suites() (chosen []suite, err error) {
	for _, s := range suites() {
		if len(o.packages) > 0 && !slices.Contains(o.packages, s.dir) {
			continue
		}
		if o.run != "" {
			s.arguments = append(s.arguments, "-test.run="+o.run)
		}
		chosen = append(chosen, s)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no tests of %s are run in the machine", strings.Join(o.packages, ", "))
	}
	return chosen, nil
}

// makeRoot builds what the machine needs. The file has no name any more: nothing
// of it is left, however this process ends.
func makeRoot(ctx context.Context, k kernel, suites []suite) (*os.File, error) {
	dir, err := os.MkdirTemp("", "strata-vm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b, err := build(ctx, dir, suites)
	if err != nil {
		return nil, err
	}
	root, err := os.CreateTemp(dir, "initramfs-")
	if err != nil {
		return nil, err
	}
	if err := writeRoot(root, k, b, suites); err != nil {
		return nil, errors.Join(fmt.Errorf("write the initramfs: %w", err), root.Close())
	}
	return root, nil
}

// verdict is nil when all of the suites have passed and the kernel is content.
func verdict(r *results, suites []suite, console string) error {
	var errs []error
	if len(r.failed) > 0 {
		errs = append(errs, fmt.Errorf("failed: %s", strings.Join(r.failed, ", ")))
	}
	if missing := r.missing(suites); len(missing) > 0 {
		r.unfinished()
		errs = append(errs, fmt.Errorf("not run to the end: %s; the console ends with:\n%s", strings.Join(missing, ", "), tail(console, 20)))
	}
	for _, line := range r.stray {
		errs = append(errs, fmt.Errorf("not a result: %q", line))
	}
	for _, line := range troubles(console) {
		errs = append(errs, fmt.Errorf("the kernel says: %s", line))
	}
	return errors.Join(errs...)
}

// tail is the last n lines.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
