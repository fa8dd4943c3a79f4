// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// expose takes "80", "53/udp" and "8000-8010/tcp"; a port without a protocol is
// TCP.
func (e *editor) expose(rest string) error {
	if e.config.ExposedPorts == nil {
		e.config.ExposedPorts = map[string]struct{}{}
	}
	for _, word := range strings.Fields(rest) {
		expanded, err := expand(word, e.config.Env)
		if err != nil {
			return err
		}
		for _, port := range strings.Fields(expanded) {
			if err := e.exposeRange(port); err != nil {
				return fmt.Errorf("port %q: %w", port, err)
			}
		}
	}
	return nil
}

func (e *editor) exposeRange(port string) error {
	numbers, protocol, _ := strings.Cut(strings.ToLower(port), "/")
	switch protocol {
	case "":
		protocol = "tcp"
	case "tcp", "udp", "sctp":
	default:
		return errors.New("the protocol is tcp, udp or sctp")
	}
	low, high, isRange := strings.Cut(numbers, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if err != nil || err2 != nil || first == 0 || first > last {
		return errors.New("the form is PORT[-PORT][/PROTOCOL], with ports from 1 to 65535")
	}
	for ; first <= last; first++ {
		e.config.ExposedPorts[fmt.Sprintf("%d/%s", first, protocol)] = struct{}{}
	}
	return nil
}

func (e *editor) stopSignal(rest string) error {
	signal, err := expand(rest, e.config.Env)
	if err != nil {
		return err
	}
	if !isSignal(signal) {
		return fmt.Errorf("%q is no signal", signal)
	}
	e.config.StopSignal = signal
	return nil
}

// isSignal takes numbers and names with or without "SIG", and the real-time
// signals as kill -l writes them: systemd in a container stops on SIGRTMIN+3.
func isSignal(s string) bool {
	if n, err := strconv.Atoi(s); err == nil {
		return n >= 1 && n <= 64
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if offset, ok := strings.CutPrefix(name, "RTMIN"); ok {
		return isOffset(offset, '+', 15)
	}
	if offset, ok := strings.CutPrefix(name, "RTMAX"); ok {
		return isOffset(offset, '-', 14)
	}
	return unix.SignalNum("SIG"+name) != 0
}

func isOffset(s string, sign byte, limit int) bool {
	if s == "" {
		return true
	}
	n, err := strconv.ParseUint(s[1:], 10, 8)
	return s[0] == sign && err == nil && int(n) <= limit
}

// healthcheck takes "NONE" and "[--interval=D] [--timeout=D] [--start-period=D]
// [--start-interval=D] [--retries=N] CMD …".
func (e *editor) healthcheck(rest string) (err error) {
	check := &Healthcheck{}
	flags := false
	word, after := cutSpace(rest)
	for ; strings.HasPrefix(word, "--"); word, after = cutSpace(after) {
		if err := check.flag(word); err != nil {
			return err
		}
		flags = true
	}
	switch kind := strings.ToUpper(word); {
	case kind == "NONE" && after == "" && !flags:
		check.Test = []string{"NONE"}
	case kind == "CMD" && after != "":
		check.Test, err = probe(after)
	default:
		return errors.New("the form is NONE, or CMD and a command, after its options")
	}
	e.config.Healthcheck = check
	return err
}

func probe(command string) ([]string, error) {
	args, isArray, err := parseArray(command)
	switch {
	case err != nil:
		return nil, err
	case !isArray:
		return []string{"CMD-SHELL", command}, nil
	case len(args) == 0:
		return nil, errors.New("the command is empty")
	}
	return append([]string{"CMD"}, args...), nil
}

func (h *Healthcheck) flag(word string) (err error) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "--interval":
		h.Interval, err = parseInterval(value)
	case "--timeout":
		h.Timeout, err = parseInterval(value)
	case "--start-period":
		h.StartPeriod, err = parseInterval(value)
	case "--start-interval":
		h.StartInterval, err = parseInterval(value)
	case "--retries":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 31)
		h.Retries = int(n)
	default:
		return fmt.Errorf("unknown option %q", name)
	}
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	return nil
}

func parseInterval(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && (d < 0 || d > 0 && d < time.Millisecond) {
		err = errors.New("a duration of less than a millisecond")
	}
	return d, err
}
