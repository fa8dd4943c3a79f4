// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// A crowd is many containers of one kind that live at the same time.
type crowd struct {
	name   string
	n      int
	absent string
	start  func(i int) (time.Duration, error)
	remove func(i int) (time.Duration, error)
	disk   string // the directory in which they keep their things
}

const (
	manyCount = 1000
	edge      = 100 // how many at the beginning are compared with how many at the end
)

// held is the program of each: it says that it is up, and stays.
var held = []string{"/bin/sh", "-c", "echo; exec sleep 100000"}

func (b *bench) many() error {
	crowds, done, err := b.crowds()
	if err != nil {
		return err
	}
	defer done()
	fmt.Print("\nmany: containers of `sleep`, started one after the other by separate commands, all alive, then removed\n\n")
	line := func(cells ...any) { fmt.Printf("%-32s %6s %9s %9s %9s %9s %7s %9s %9s %9s\n", cells...) }
	line("who", "n", "start ms", "max", "first", "last", "last/", "remove ms", "memory", "disk")
	line("", "", "median", "", "hundred", "hundred", "first", "median", "KiB each", "KiB each")
	for _, c := range crowds {
		if c.absent != "" {
			fmt.Printf("%-32s %s\n", c.name, c.absent)
			continue
		}
		m, err := c.measure()
		if err != nil {
			fmt.Printf("%-32s %s\n", c.name, firstLine(err.Error()))
			continue
		}
		first, last, verdict := m.edges()
		sorted := m.starts.sorted()
		line(c.name, fmt.Sprint(c.n), milliseconds(m.starts.median()), milliseconds(sorted[len(sorted)-1]), milliseconds(first),
			milliseconds(last), verdict, milliseconds(m.removals.median()), fmt.Sprint(m.memory>>10/int64(c.n)), fmt.Sprint(m.disk>>10/int64(c.n)))
	}
	fmt.Println("\n" + manyComment)
	return nil
}

const manyComment = `Each kind has the machine for itself, so that the crowd of one does not slow
another. First and last are medians of the first and the last hundred starts (a
quarter of all where there are fewer than 400); target: the last as quick as the
first, so a ratio of about 1. The floor and strata count until the program has
written its first byte; crun, podman and docker until their command returns,
which is a little earlier. Strata is a process of its own for as long as each
container runs, and its memory is counted; it is removed with rm -f, the floor
with SIGKILL and a rename, both wait for the end. Memory is what MemAvailable of
the whole machine lost, so it is only good on a quiet one. Disk is what is
allocated beneath the directory in which they keep their things.`

// A head count is what a crowd took.
type headCount struct {
	starts, removals series
	memory, disk     int64 // bytes, all together
}

// edges are the medians of the first and last starts, and their ratio.
func (m headCount) edges() (first, last time.Duration, ratioText string) {
	n := min(edge, len(m.starts)/4)
	first, last = m.starts[:n].median(), m.starts[len(m.starts)-n:].median()
	return first, last, fmt.Sprintf("%.2f", ratio(last, first))
}

func (c crowd) measure() (m headCount, err error) {
	alive := 0
	defer func() { // after an error: those that are left
		for ; alive > 0; alive-- {
			c.remove(alive - 1)
		}
	}()
	memory, disk := available(), allocated(c.disk)
	for ; alive < c.n; alive++ {
		took, err := c.start(alive)
		if err != nil {
			return m, err
		}
		m.starts = append(m.starts, took)
	}
	m.memory, m.disk = memory-available(), allocated(c.disk)-disk
	for ; alive > 0; alive-- {
		took, err := c.remove(alive - 1)
		if err != nil {
			return m, err
		}
		m.removals = append(m.removals, took)
	}
	return m, nil
}

// available is MemAvailable of /proc/meminfo, in bytes.
func available() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
