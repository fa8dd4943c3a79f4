// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	mobyuser "github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
)

func newTopCommand() *cli.Command {
	l := listing{format: "table"}
	c := &cli.Command{
		Use:   "top CONTAINER [ps OPTIONS]",
		Short: "List the processes of a running container",
		Min:   1, Max: -1,
		Complete: completeContainers,
	}
	c.Flags().ArgumentsEnd = true // what follows the container is ps's own
	c.Flags().StringVar(&l.format, "format", "", "FORMAT", "output: table or json")
	c.Run = func(args []string) error {
		return withEngine(func(e *engine.Engine) error {
			if err := top(e, args[0], args[1:], &l); err != nil {
				return fmt.Errorf("top: %w", err)
			}
			return nil
		})
	}
	return c
}

func top(e *engine.Engine, name string, options []string, l *listing) error {
	processes, err := e.Processes(name)
	if err != nil {
		return err
	}
	headings, rows := processRows(processes)
	if len(options) > 0 {
		if headings, rows, err = psRows(processes, options); err != nil {
			return err
		}
	}
	var columns []column
	for _, h := range headings {
		columns = append(columns, column{h, h})
	}
	return l.print(columns, rows)
}

// processRows are what ps -ef shows.
func processRows(processes []engine.ProcessInfo) (headings []string, rows [][]any) {
	now, users := time.Now(), userNames()
	for _, p := range processes {
		rows = append(rows, []any{
			nameOf(users, p.UID), p.Pid, p.Parent, percent(p.CPU, now.Sub(p.Started)), startedText(p.Started, now),
			terminalText(p.Terminal), clock(p.CPU), p.Command,
		})
	}
	return strings.Fields("UID PID PPID C STIME TTY TIME CMD"), rows
}

func percent(used, lived time.Duration) int64 { return int64(100 * used / max(lived, time.Second)) }

// startedText is the hour of today, the day of this year, or the year.
func startedText(t, now time.Time) string {
	switch {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("Jan02")
	}
	return t.Format("2006")
}

func clock(d time.Duration) string {
	s := int64(d / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// terminalText names the terminals that containers have, those of devpts
// (Documentation/admin-guide/devices.txt, majors 136 to 143).
func terminalText(device uint32) string {
	major, minor := unix.Major(uint64(device)), unix.Minor(uint64(device))
	switch {
	case device == 0:
		return "?"
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<8+minor)
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

// userNames are the host's, as ps has them.
func userNames() map[uint32]string {
	names := map[uint32]string{}
	users, _ := mobyuser.ParsePasswdFile("/etc/passwd") // without it numbers are shown
	for _, u := range slices.Backward(users) {
		names[uint32(u.Uid)] = u.Name
	}
	return names
}

func nameOf(users map[uint32]string, uid uint32) string {
	if name, known := users[uid]; known {
		return name
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// psRows runs the host's ps and keeps the lines of those processes, which it
// finds by the column PID as Docker does.
func psRows(processes []engine.ProcessInfo, options []string) (headings []string, rows [][]any, err error) {
	var stderr bytes.Buffer
	ps := exec.Command("ps", options...)
	ps.Stderr = &stderr
	out, err := ps.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil, errors.New("ps options need ps on the host: install it (procps), or leave the options out")
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, nil, fmt.Errorf("ps %s: %w: %s", strings.Join(options, " "), err, first)
	}
	return selectRows(string(out), processes)
}

func selectRows(out string, processes []engine.ProcessInfo) (headings []string, rows [][]any, err error) {
	first, rest, _ := strings.Cut(out, "\n")
	headings = strings.Fields(first)
	pid := slices.Index(headings, "PID")
	if pid < 0 {
		return nil, nil, errors.New("ps does not show the column PID with these options; add it (-o pid,…)")
	}
	for line := range strings.Lines(rest) {
		cells := strings.Fields(line)
		if len(cells) <= pid || !slices.ContainsFunc(processes, func(p engine.ProcessInfo) bool { return strconv.Itoa(p.Pid) == cells[pid] }) {
			continue
		}
		rows = append(rows, row(cells, len(headings)))
	}
	return headings, rows, nil
}

// row fills n columns: what is too much belongs to the last, a command line.
func row(cells []string, n int) []any {
	filled := make([]any, n)
	for i := range filled {
		filled[i] = ""
		if i < len(cells) {
			filled[i] = cells[i]
		}
	}
	if len(cells) > n {
		filled[n-1] = strings.Join(cells[n-1:], " ")
	}
	return filled
}
