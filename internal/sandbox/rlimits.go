// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spawn"
)

// rlimits are the kernel's resource limits by name
// (include/uapi/asm-generic/resource.h).
var rlimits = map[string]uintptr{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

// checkRlimits refuses limits that the kernel does not know, and two of one kind
// (runtime-spec, config.md, "POSIX process").
func checkRlimits(limits []specs.POSIXRlimit) error {
	seen := map[string]bool{}
	for _, l := range limits {
		if _, known := rlimits[l.Type]; !known || seen[l.Type] || l.Soft > l.Hard {
			return &UnsupportedError{Field: "process.rlimits", Value: fmt.Sprintf("%s %s", l.Type, limitText(l))}
		}
		seen[l.Type] = true
	}
	return nil
}

// rlimitSteps come while the child has CAP_SYS_RESOURCE, if it ever had it, and
// when it has no file to open any more.
func rlimitSteps(s *specs.Spec) []step {
	steps := []step{{prepare: putBackOpenFiles}} // for the caller's shell there is nothing to put back
	for _, l := range s.Process.Rlimits {
		name := strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_"))
		steps = append(steps, step{
			lines: line("prlimit --pid $$ --"+name+"="+limitText(l), "what one process may use of it"),
			prepare: func(p *preparation) error {
				limit := &unix.Rlimit{Cur: l.Soft, Max: l.Hard}
				p.call("set limit "+name+" to "+limitText(l)+aboveOurs(l), unix.SYS_PRLIMIT64, 0, rlimits[l.Type], spawn.Pin(&p.list, limit), 0)
				return nil
			},
		})
	}
	return steps
}

// putBackOpenFiles gives the child the limit that we were started with, not the one
// that Go has raised for us.
func putBackOpenFiles(p *preparation) error {
	limit := linux.OpenFiles()
	p.call("put back the limit on open files", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, spawn.Pin(&p.list, &limit), 0)
	return nil
}

// aboveOurs says, for the error, why the kernel may refuse l (getrlimit(2)).
func aboveOurs(l specs.POSIXRlimit) string {
	var own unix.Rlimit
	if unix.Getrlimit(int(rlimits[l.Type]), &own) != nil || l.Hard <= own.Max {
		return ""
	}
	return " (ours is " + amount(own.Max) + ", and only CAP_SYS_RESOURCE raises it)"
}

// limitText is a limit as prlimit(1) takes it.
func limitText(l specs.POSIXRlimit) string { return amount(l.Soft) + ":" + amount(l.Hard) }

func amount(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
