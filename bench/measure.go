// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A contender is one of those who are measured side by side.
type contender struct {
	name string
	run  func() (time.Duration, error)
	// every is how many rounds there are to one run; zero is one.
	every int
	// absent says why it does not run.
	absent string
}

// A series is what one contender took, in the order of its runs.
type series []time.Duration

func (s series) sorted() series { return slices.Sorted(slices.Values(s)) }

func (s series) median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := s.sorted()
	return (sorted[(len(s)-1)/2] + sorted[len(s)/2]) / 2
}

// A result is a contender's series, or what kept it from running.
type result struct {
	name   string
	times  series
	absent string
}

// measure lets the contenders run in turn, A B C A B C …, so that whatever else
// the machine does meets all of them. Each runs once before, unmeasured, unless
// it is to run only once. Between the rounds, settle does what must not be
// measured.
func measure(rounds int, contenders []contender, settle func(round int) error) ([]result, error) {
	results := make([]result, len(contenders))
	for round := -1; round < rounds; round++ {
		if settle != nil {
			if err := settle(round); err != nil {
				return nil, err
			}
		}
		for i, c := range contenders {
			r := &results[i]
			if r.name = c.name; round < 0 {
				r.absent = c.absent
			}
			if r.absent != "" || !c.turn(round, rounds) {
				continue
			}
			took, err := c.run()
			if err != nil {
				r.absent = firstLine(err.Error())
			} else if round >= 0 {
				r.times = append(r.times, took)
			}
		}
	}
	return results, nil
}

// turn reports whether c runs in a round; the one before the first is -1.
func (c contender) turn(round, rounds int) bool {
	if round < 0 {
		return c.every < rounds
	}
	return round%max(1, c.every) == 0
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 100)]
}

// timed is the time of a command from its start to its exit, with little around
// it: no pipes, no goroutines.
func timed(argv ...string) (time.Duration, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	talk, err := os.CreateTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer talk.Close()
	os.Remove(talk.Name())
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), talk.Fd()}}
	begin := time.Now()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", argv[0], err)
	}
	status, err := wait(pid)
	took := time.Since(begin)
	if err == nil && status.ExitStatus() != 0 {
		text := make([]byte, 400)
		n, _ := talk.ReadAt(text, 0)
		err = fmt.Errorf("%s: status %d: %s", argv[0], status.ExitStatus(), text[:n])
	}
	return took, err
}

func wait(pid int) (status syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return status, err
		}
	}
}

// output runs a command that is not measured.
func output(argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(talk.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// clock is the time that the steps take together, up to the first error.
func clock(steps ...func() error) (time.Duration, error) {
	begin := time.Now()
	for _, step := range steps {
		if err := step(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// ran is timed for where the time does not matter.
func ran(argv ...string) func() error {
	return func() error {
		_, err := timed(argv...)
		return err
	}
}
