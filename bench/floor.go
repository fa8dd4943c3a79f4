// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A floor is a running program of floor/floor.c: one process that starts
// containers when told to. So its own start is not in what it measures.
type floor struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

// newFloor starts a floor whose containers run argv, with upperdirs in the new
// directory called name.
func (b *bench) newFloor(name, removal string, argv ...string) (*floor, error) {
	dir, err := b.mkdir(name)
	if err != nil {
		return nil, err
	}
	f := &floor{cmd: exec.Command(b.bin+"/floor", append([]string{b.tree, dir, removal}, argv...)...)}
	if f.orders, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.answers = bufio.NewReader(answers)
	f.cmd.Stderr = nil
	return f, f.cmd.Start()
}

// do gives one order and returns how long it took.
func (f *floor) do(order string) (time.Duration, error) {
	if _, err := io.WriteString(f.orders, order); err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	line, err := f.answers.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return time.Duration(n), err
}

// order is do as a contender runs it.
func (f *floor) order(order string) func() (time.Duration, error) {
	return func() (time.Duration, error) { return f.do(order) }
}

// close ends the floor and what it holds.
func (f *floor) close() error {
	f.orders.Close()
	return f.cmd.Wait()
}
