// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What a profile says about one system call, read from it for each call anew and
// by nothing that the compiler uses but the embedded table of numbers.

// where is the architecture of a call, and its column in the table.
type where struct {
	arch   specs.Arch
	column int
	first  uint32 // of the numbers that belong together
}

func whereIs(d data) (w where, ok bool) {
	switch {
	case d.arch == 0xc000003e && d.number == 0xffffffff:
		return where{specs.ArchX86_64, 1, 0}, true
	case d.arch == 0xc000003e && d.number >= 1<<30:
		return where{specs.ArchX32, 3, 1 << 30}, true
	case d.arch == 0xc000003e:
		return where{specs.ArchX86_64, 1, 0}, true
	case d.arch == 0x40000003:
		return where{specs.ArchX86, 2, 0}, true
	case d.arch == 0xc00000b7:
		return where{specs.ArchAARCH64, 4, 0}, true
	case d.arch == 0x40000028 && d.number >= 0xf0000 && d.number != 0xffffffff:
		return where{specs.ArchARM, 5, 0xf0000}, true
	case d.arch == 0x40000028:
		return where{specs.ArchARM, 5, 0}, true
	}
	return w, false
}

// numbersOf are those of a name in a column of the table, as text.
func readTable() map[string][]string {
	lines := map[string][]string{}
	for _, line := range strings.Split(syscalls, "\n") {
		if f := strings.Fields(line); len(f) == 6 && f[0] != "#" {
			lines[f[0]] = f
		}
	}
	return lines
}

type interpreter struct {
	lines map[string][]string
	arch  string
}

func newInterpreter(arch string) *interpreter { return &interpreter{readTable(), arch} }

const killProcess = 0x80000000

func (in *interpreter) verdict(s *specs.LinuxSeccomp, d data) uint32 {
	w, known := whereIs(d)
	native := specs.ArchX86_64
	if in.arch == "arm64" {
		native = specs.ArchAARCH64
	}
	reachable := map[string][]specs.Arch{
		"amd64": {specs.ArchX86_64, specs.ArchX32, specs.ArchX86}, "arm64": {specs.ArchAARCH64, specs.ArchARM},
	}[in.arch]
	listed := w.arch == native
	for _, a := range s.Architectures {
		listed = listed || a == w.arch
	}
	possible := false
	for _, a := range reachable {
		possible = possible || a == w.arch
	}
	if !known || !listed || !possible {
		return killProcess
	}
	fallback := value(s.DefaultAction, s.DefaultErrnoRet)
	if in.isNew(s, w, d.number) && fallback>>16 != 0x7fff && fallback>>16 != 0x7ffc && fallback>>16 != 0x7ff0 {
		return 0x00050000 | 38
	}
	return in.decide(s, w, d, fallback)
}

// isNew is true of a number above all those that the profile names, if it names any.
func (in *interpreter) isNew(s *specs.LinuxSeccomp, w where, number uint32) bool {
	any := false
	for _, call := range s.Syscalls {
		for _, name := range call.Names {
			if n, ok := in.number(name, w); ok {
				any = true
				if n >= number {
					return false
				}
			}
		}
	}
	return any
}

func (in *interpreter) number(name string, w where) (uint32, bool) {
	line := in.lines[name]
	if line == nil || line[w.column] == "-" {
		return 0, false
	}
	n, err := strconv.ParseUint(line[w.column], 10, 32)
	if err != nil {
		panic(err)
	}
	same := uint32(n) >= w.first && (w.column != 5 || w.first != 0 || n < 0xf0000)
	return uint32(n), same
}

// decide looks for a rule without arguments, then for the first that holds.
func (in *interpreter) decide(s *specs.LinuxSeccomp, w where, d data, fallback uint32) uint32 {
	var about []specs.LinuxSyscall
	for _, call := range s.Syscalls {
		if value(call.Action, call.ErrnoRet) == fallback {
			continue
		}
		for _, name := range call.Names {
			if n, ok := in.number(name, w); ok && n == d.number {
				about = append(about, call)
			}
		}
	}
	for _, call := range about {
		if len(call.Args) == 0 {
			return value(call.Action, call.ErrnoRet)
		}
	}
	for _, call := range about {
		if holds(call.Args, d) {
			return value(call.Action, call.ErrnoRet)
		}
	}
	return fallback
}

func holds(args []specs.LinuxSeccompArg, d data) bool {
	var used uint
	for _, a := range args {
		used |= 1 << a.Index
	}
	count := 0
	for _, a := range args {
		if compare(a, d.args[a.Index]) {
			count++
		}
	}
	if bits.OnesCount(used) < len(args) {
		return count > 0
	}
	return count == len(args)
}

func compare(a specs.LinuxSeccompArg, is uint64) bool {
	switch a.Op {
	case "SCMP_CMP_NE":
		return is != a.Value
	case "SCMP_CMP_LT":
		return is < a.Value
	case "SCMP_CMP_LE":
		return is <= a.Value
	case "SCMP_CMP_EQ":
		return is == a.Value
	case "SCMP_CMP_GE":
		return is >= a.Value
	case "SCMP_CMP_GT":
		return is > a.Value
	}
	return is&a.Value == a.ValueTwo
}

// value is the constants of linux/seccomp.h, written down once more.
func value(a specs.LinuxSeccompAction, errno *uint) uint32 {
	e := uint32(1)
	if errno != nil {
		e = uint32(*errno)
	}
	switch a {
	case "SCMP_ACT_ALLOW":
		return 0x7fff0000
	case "SCMP_ACT_LOG":
		return 0x7ffc0000
	case "SCMP_ACT_TRACE":
		return 0x7ff00000 | e
	case "SCMP_ACT_ERRNO":
		return 0x00050000 | e
	case "SCMP_ACT_TRAP":
		return 0x00030000
	case "SCMP_ACT_KILL_PROCESS":
		return killProcess
	}
	return 0
}
