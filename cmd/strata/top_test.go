// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"
	"time"

	"strata/internal/engine"
)

func TestSelectRows(t *testing.T) {
	processes := []engine.ProcessInfo{{Pid: 7}, {Pid: 42}}
	for _, c := range []struct{ out, want string }{
		{"  PID CMD\n    7 sleep 1000\n    8 other\n   42 sh -c x  y\n", "[PID CMD] [[7 sleep 1000] [42 sh -c x y]]"},
		{"CMD PID\na 42\n", "[CMD PID] [[a 42]]"},
		{"PID\n", "[PID] []"},
		{"", "[] []"},
		{"CMD\na\n", "[CMD] []"},
		{"UID PID TTY\nroot 7\nroot\n", "[UID PID TTY] [[root 7 ]]"},
	} {
		headings, rows, err := selectRows(c.out, processes)
		if got := fmt.Sprint(headings, " ", rows); err == nil && got != c.want || err != nil && len(headings)+len(rows) > 0 {
			t.Errorf("%q: got %s, %v; want %s", c.out, got, err, c.want)
		}
	}
}

func TestProcessTexts(t *testing.T) {
	now := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	for want, started := range map[string]time.Time{
		"11:05": now.Add(-55 * time.Minute), "Mar08": now.Add(-24 * time.Hour), "2025": now.Add(-100 * 24 * time.Hour),
	} {
		if got := startedText(started, now); got != want {
			t.Errorf("started %v: %s, want %s", started, got, want)
		}
	}
	for want, device := range map[string]uint32{"?": 0, "pts/3": 136<<8 | 3, "pts/256": 137 << 8, "4:1": 4<<8 | 1} {
		if got := terminalText(device); got != want {
			t.Errorf("device %#x: %s, want %s", device, got, want)
		}
	}
	if got := clock(26*time.Hour + 61*time.Second); got != "26:01:01" {
		t.Errorf("26 hours and 61 seconds: %s", got)
	}
}
