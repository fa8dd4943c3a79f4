// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestResourceFlags(t *testing.T) {
	f := resourceFlags{memory: "64m", cpus: "1.5", pids: "0", shares: "512"}
	r, err := f.resources()
	if err != nil {
		t.Fatal(err)
	}
	if *r.Memory.Limit != 64<<20 || *r.Memory.Swap != 128<<20 || *r.CPU.Quota != 150_000 || *r.CPU.Period != 100_000 || *r.Pids.Limit != -1 || *r.CPU.Shares != 512 {
		t.Errorf("got memory %d, swap %d, quota %d of %d, pids %d", *r.Memory.Limit, *r.Memory.Swap, *r.CPU.Quota, *r.CPU.Period, *r.Pids.Limit)
	}
	if r, err := new(resourceFlags).resources(); r != nil || err != nil {
		t.Errorf("no flags: %v, %v", r, err)
	}
	for _, unlimited := range []resourceFlags{{memory: "-1"}, {memory: "64m", swap: "-1"}, {quota: "-1"}, {pids: "-1"}} {
		if _, err := unlimited.resources(); err != nil {
			t.Error(err)
		}
	}
	for want, f := range map[string]resourceFlags{
		"--cpu-shares -1":        {shares: "-1"},
		"--cpu-quota -2":         {quota: "-2"},
		"--blkio-weight 70000":   {weight: "70000"},
		"--pids-limit 1.5":       {pids: "1.5"},
		"--memory: \"-5\"":       {memory: "-5"},
		"--cpus NaN":             {cpus: "NaN"},
		"--cpus -1":              {cpus: "-1"},
		"is less than --memory":  {memory: "64m", swap: "63m"},
		"--device-read-bps /dev": {readBps: []string{"/dev"}},
		"below zero":             {readOps: []string{"/dev/null:-1"}},
	} {
		if _, err := f.resources(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCgroupParent(t *testing.T) {
	for p, want := range map[string]string{"": "", "a": "a", "/a/b/": "/a/b", "./a": "a"} {
		if got, err := parseCgroupParent(p); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", p, got, err, want)
		}
	}
	for _, p := range []string{"/", ".", "..", "../a", "/a/../..", "a\n", "a\x00"} {
		if got, err := parseCgroupParent(p); err == nil {
			t.Errorf("%q: got %q", p, got)
		}
	}
}

// Whatever is asked for is a limit or an error, and none is below what means
// unlimited.
func FuzzResourceFlags(f *testing.F) {
	f.Add("64m", "1.5", "-1", "/dev/vda:1m")
	f.Add("-1", "1e9", "0", "/dev/null:")
	f.Fuzz(func(t *testing.T, memory, cpus, number, device string) {
		flags := resourceFlags{memory: memory, cpus: cpus, pids: number, shares: number, weight: number, readBps: []string{device}}
		r, err := flags.resources()
		if err != nil || r == nil {
			return
		}
		for _, n := range []*int64{limitOf(r.Memory), orZero(r.CPU).Quota, orZero(r.Pids).Limit} {
			if n != nil && *n < -1 {
				t.Errorf("%q, %q, %q: a limit of %d", memory, cpus, number, *n)
			}
		}
	})
}

func limitOf(m *specs.LinuxMemory) *int64 {
	if m == nil {
		return nil
	}
	return m.Limit
}
