// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spawn"
)

// rlimits are the names of the kernel's resource limits, each at its number
// (include/uapi/asm-generic/resource.h).
var rlimits = [...]string{
	"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
	"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
}

// rlimit is the number of the limit with a specification's name, RLIMIT_CPU for
// example, or -1.
func rlimit(name string) int {
	short, ok := strings.CutPrefix(name, "RLIMIT_")
	if !ok {
		return -1
	}
	return slices.Index(rlimits[:], short)
}

// checkRlimits refuses limits that the kernel does not know, and two of one kind
// (runtime-spec, config.md, "POSIX process").
func checkRlimits(limits []specs.POSIXRlimit) error {
	seen := map[string]bool{}
	for _, l := range limits {
		if rlimit(l.Type) < 0 || seen[l.Type] || l.Soft > l.Hard {
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
				p.call("set limit "+name+" to "+limitText(l)+aboveOurs(l), unix.SYS_PRLIMIT64, 0, uintptr(rlimit(l.Type)), spawn.Pin(&p.list, limit), 0)
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
	if unix.Getrlimit(rlimit(l.Type), &own) != nil || l.Hard <= own.Max {
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
