// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"pgregory.net/rapid"
)

var auditArchs = map[string][]uint32{
	"amd64": {0xc000003e, 0x40000003}, "arm64": {0xc00000b7, 0x40000028},
}

// TestCompiledIsInterpreted compiles random profiles and asks both the program
// and the interpreter about random calls.
func TestCompiledIsInterpreted(t *testing.T) {
	names := slices.Sorted(maps.Keys(readTable()))
	rapid.Check(t, func(t *rapid.T) {
		arch := rapid.SampledFrom([]string{"amd64", "arm64"}).Draw(t, "machine")
		few := rapid.SliceOfN(rapid.SampledFrom(names), 1, 12).Draw(t, "names")
		s := profiles(few).Draw(t, "profile")
		f, err := Compile(s, arch)
		if err != nil {
			if strings.Contains(err.Error(), "none of its rules") {
				return
			}
			t.Fatal(err)
		}
		in := newInterpreter(arch)
		for range 50 {
			d := calls(in, arch, few, s).Draw(t, "call")
			got, _, err := run(f, d)
			if want := in.verdict(s, d); err != nil || got != want {
				t.Fatalf("%+v: got %#x (%v), want %#x", d, got, err, want)
			}
		}
	})
}

var someValues = []uint64{
	0, 1, 2, 0x7e020000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 0x0ffffffff0000000,
	1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1, 0xffffffff00000000, 0x00000001ffffffff,
}

func values() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.SampledFrom(someValues), rapid.Uint64())
}

func profiles(names []string) *rapid.Generator[*specs.LinuxSeccomp] {
	return rapid.Custom(func(t *rapid.T) *specs.LinuxSeccomp {
		s := &specs.LinuxSeccomp{}
		s.DefaultAction, s.DefaultErrnoRet = drawAction(t)
		s.Architectures = rapid.SliceOfN(rapid.SampledFrom(architectures[:6]), 0, 5).Draw(t, "architectures")
		s.Syscalls = rapid.SliceOfN(rules(names), 0, 30).Draw(t, "rules")
		for i := range s.Syscalls {
			if rapid.IntRange(0, 3).Draw(t, "redundant") == 0 {
				s.Syscalls[i].Action, s.Syscalls[i].ErrnoRet = s.DefaultAction, s.DefaultErrnoRet
			}
		}
		return s
	})
}

func drawAction(t *rapid.T) (specs.LinuxSeccompAction, *uint) {
	a := rapid.SampledFrom(actions).Draw(t, "action")
	if a.data == 0 || rapid.Bool().Draw(t, "plain") {
		return a.name, nil
	}
	errno := rapid.UintRange(0, a.data).Draw(t, "errno")
	return a.name, &errno
}

func rules(names []string) *rapid.Generator[specs.LinuxSyscall] {
	return rapid.Custom(func(t *rapid.T) (c specs.LinuxSyscall) {
		c.Names = rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(names), "no_such_call")), 1, 4).Draw(t, "names")
		c.Action, c.ErrnoRet = drawAction(t)
		c.Args = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) specs.LinuxSeccompArg {
			return specs.LinuxSeccompArg{
				Index: rapid.UintRange(0, 5).Draw(t, "index"), Value: values().Draw(t, "value"), ValueTwo: values().Draw(t, "second"),
				Op: rapid.SampledFrom([]specs.LinuxSeccompOperator{
					specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
					specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
				}).Draw(t, "op"),
			}
		}), 0, 4).Draw(t, "args")
		return c
	})
}

// calls are mostly about the names of a profile, with arguments near its values.
func calls(in *interpreter, arch string, names []string, s *specs.LinuxSeccomp) *rapid.Generator[data] {
	numbers := []uint32{0, 1, 1<<30 - 1, 1 << 30, 0xeffff, 0xf0000, 0xfffffffe, 0xffffffff}
	for _, name := range names {
		for _, column := range in.lines[name][1:] {
			var n uint32
			if _, err := fmt.Sscan(column, &n); err == nil {
				numbers = append(numbers, n-1, n, n, n, n+1)
			}
		}
	}
	args := slices.Clone(someValues)
	for _, call := range s.Syscalls {
		for _, a := range call.Args {
			args = append(args, a.Value, a.Value+1, a.Value-1, a.ValueTwo, a.Value&a.ValueTwo, a.Value^1<<32)
		}
	}
	return rapid.Custom(func(t *rapid.T) (d data) {
		d.arch = rapid.SampledFrom(append(slices.Clone(auditArchs[arch]), 0x14)).Draw(t, "arch")
		d.number = rapid.OneOf(rapid.SampledFrom(numbers), rapid.Uint32()).Draw(t, "number")
		for i := range d.args {
			d.args[i] = rapid.OneOf(rapid.SampledFrom(args), rapid.Uint64()).Draw(t, "arg")
		}
		return d
	})
}

// TestComparisons holds every operator to the 64 bits of its argument, around
// the values where a half carries over.
func TestComparisons(t *testing.T) {
	for _, op := range []specs.LinuxSeccompOperator{
		specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
		specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	} {
		for _, value := range someValues {
			a := specs.LinuxSeccompArg{Index: 3, Value: value, ValueTwo: value & 0xff00000001, Op: op}
			f, err := Compile(&specs.LinuxSeccomp{
				DefaultAction: specs.ActErrno,
				Syscalls:      []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{a}}},
			}, "amd64")
			if err != nil {
				t.Fatal(err)
			}
			for _, around := range someValues {
				for _, is := range []uint64{around - 1, around, around + 1, around ^ 1<<40} {
					got := mustRun(t, f, data{arch: 0xc000003e, args: [6]uint64{3: is}}) == 0x7fff0000
					if want := compare(a, is); got != want {
						t.Errorf("%#x %s %#x: %v, want %v", is, op, value, got, want)
					}
				}
			}
		}
	}
}

// TestPrecedence is what Compile says of profiles that say two things.
func TestPrecedence(t *testing.T) {
	is := func(op specs.LinuxSeccompOperator, index uint, value uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Value: value, Op: op}
	}
	rule := func(a specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"read"}, Action: a, Args: args}
	}
	const errno, allow, log, trap = 0x50001, 0x7fff0000, 0x7ffc0000, 0x30000
	for _, c := range []struct {
		name  string
		rules []specs.LinuxSyscall
		args  [6]uint64
		want  uint32
	}{
		{"without arguments goes first", []specs.LinuxSyscall{rule(specs.ActTrap, is(specs.OpEqualTo, 0, 7)), rule(specs.ActAllow)}, [6]uint64{7}, allow},
		{"the first without arguments", []specs.LinuxSyscall{rule(specs.ActLog), rule(specs.ActAllow)}, [6]uint64{}, log},
		{"the first that holds", []specs.LinuxSyscall{rule(specs.ActTrap, is(specs.OpLessThan, 0, 9)), rule(specs.ActAllow, is(specs.OpLessThan, 0, 99))}, [6]uint64{7}, trap},
		{"the second, as the first does not hold", []specs.LinuxSyscall{rule(specs.ActTrap, is(specs.OpLessThan, 0, 9)), rule(specs.ActAllow, is(specs.OpLessThan, 0, 99))}, [6]uint64{9}, allow},
		{"the default is as good as not there", []specs.LinuxSyscall{rule(specs.ActErrno, is(specs.OpEqualTo, 0, 7)), rule(specs.ActAllow, is(specs.OpLessThan, 0, 9))}, [6]uint64{7}, allow},
		{"the default without arguments too", []specs.LinuxSyscall{rule(specs.ActErrno), rule(specs.ActAllow, is(specs.OpLessThan, 0, 9))}, [6]uint64{7}, allow},
		{"all conditions", []specs.LinuxSyscall{rule(specs.ActAllow, is(specs.OpEqualTo, 0, 7), is(specs.OpEqualTo, 1, 8))}, [6]uint64{7, 9}, errno},
		{"any of two on one argument", []specs.LinuxSyscall{rule(specs.ActAllow, is(specs.OpEqualTo, 0, 7), is(specs.OpEqualTo, 0, 8), is(specs.OpEqualTo, 1, 1))}, [6]uint64{7, 2}, allow},
	} {
		f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: c.rules}, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		if got := mustRun(t, f, data{arch: 0xc000003e, args: c.args}); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

// TestFarJumps makes a program with hundreds of instructions between a question
// and its answers, and one that is too long.
func TestFarJumps(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	in := newInterpreter("amd64")
	for n, name := range slices.Sorted(maps.Keys(in.lines)) {
		if in.lines[name][1] == "-" {
			continue
		}
		errno := uint(n + 1)
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{
			Names: []string{name}, Action: specs.ActErrno, ErrnoRet: &errno,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: uint64(n), Op: specs.OpEqualTo}},
		})
	}
	f, err := Compile(s, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if f.Len() < 1000 {
		t.Errorf("%d instructions: too few for this test", f.Len())
	}
	for number := range uint32(500) {
		for _, argument := range []uint64{0, uint64(number), 200, 300} {
			d := data{number: number, arch: 0xc000003e, args: [6]uint64{argument}}
			if got, want := mustRun(t, f, d), in.verdict(s, d); got != want {
				t.Errorf("%+v: %#x, want %#x", d, got, want)
			}
		}
	}
	s.Architectures = []specs.Arch{specs.ArchX86}
	if _, err = Compile(s, "amd64"); err != nil {
		t.Errorf("one rule for each call of two architectures: %v", err)
	}
	for i := range s.Syscalls {
		for index := range uint(6) {
			s.Syscalls[i].Args = append(s.Syscalls[i].Args, specs.LinuxSeccompArg{Index: index, Value: uint64(i), Op: specs.OpNotEqual})
		}
	}
	_, err = Compile(s, "amd64")
	if err == nil || !strings.Contains(err.Error(), "the kernel takes 4096") {
		t.Errorf("a program that is too long: %v", err)
	}
}

// TestSharing compiles the profile of one rule for many calls: their verdict is
// there once.
func TestSharing(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{
		Names: []string{"read", "write", "close", "mmap", "brk", "clone", "execve"}, Action: specs.ActAllow,
		Args: []specs.LinuxSeccompArg{{Index: 1, Value: 7, Op: specs.OpGreaterThan}},
	}}}
	f, err := Compile(s, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if f.Len() > 40 {
		t.Errorf("%d instructions", f.Len())
	}
}
