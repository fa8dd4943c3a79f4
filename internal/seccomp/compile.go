// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Compile makes the filter of a profile for a machine, named as GOARCH has it.
// An error is one line that names the rule and says what to do.
//
// Where a profile says two things, this holds, as with libseccomp and runc:
//
//   - A rule without arguments goes before those with, and the first such rule
//     before later ones. Of rules with arguments the first that holds decides.
//   - The conditions of a rule hold together, but for a rule with two on the same
//     argument: there any one is enough.
//   - A rule whose action is the default one is as good as not there.
//   - Names that an architecture does not have are passed over; but a profile all
//     of whose names are unknown is an error.
//   - A number above all that the profile names is a system call that it did not
//     know of: it fails with ENOSYS, which programs expect of an older kernel,
//     unless the default action would let it be made.
//   - The machine's own architecture is always part of a profile. A call from one
//     that is not kills the process.
func Compile(s *specs.LinuxSeccomp, arch string) (Filter, error) {
	f, err := compile(s, arch)
	if err != nil {
		return Filter{}, fmt.Errorf("seccomp profile: %w", err)
	}
	return f, nil
}

func compile(s *specs.LinuxSeccomp, arch string) (f Filter, err error) {
	if f.Flags, err = flags(s.Flags); err != nil {
		return f, err
	}
	c, err := newCompiler(s)
	if err != nil {
		return f, err
	}
	machine, err := conventions(arch)
	if err != nil {
		return f, err
	}
	if err := checkArchitectures(s.Architectures); err != nil {
		return f, err
	}
	c.allowed = append(slices.Clone(s.Architectures), machine[0].spaces[0].arch)
	c.assemble(machine)
	if len(s.Syscalls) > 0 && !c.known {
		return f, errors.New("none of its rules names a system call that is known here; names are such as \"openat\"")
	}
	if n := len(c.code); n > maxInstructions {
		return f, fmt.Errorf("it needs %d instructions, and the kernel takes %d; use fewer rules with arguments, or fewer architectures", n, maxInstructions)
	}
	f.Program = bytesOf(c.program())
	return f, nil
}

// rule is one of a profile with its action worked out.
type rule struct {
	names     []string
	ways      [][]condition // it holds if all of one of them do
	value     uint32
	redundant bool // its action is the default one
}

// compiler is one profile on its way to a program.
type compiler struct {
	*assembler
	table    table
	rules    []rule
	fallback uint32 // the default action
	allowed  []specs.Arch
	known    bool // a rule names a system call of an allowed architecture
	blocks   []block
}

func newCompiler(s *specs.LinuxSeccomp) (*compiler, error) {
	c := &compiler{assembler: newAssembler(), table: parseTable()}
	var err error
	if c.fallback, err = action(s.DefaultAction, s.DefaultErrnoRet); err != nil {
		return nil, fmt.Errorf("default: %w", err)
	}
	for i, call := range s.Syscalls {
		r, err := newRule(call)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ruleName(i, call.Names), err)
		}
		r.redundant = r.value == c.fallback
		c.rules = append(c.rules, r)
	}
	return c, nil
}

// ruleName is a rule in errors: its number from 1, and what it is about.
func ruleName(i int, names []string) string {
	const some = 3
	name := fmt.Sprintf("rule %d", i+1)
	if len(names) == 0 {
		return name
	}
	about := strings.Join(names[:min(some, len(names))], ", ")
	if len(names) > some {
		about += ", …"
	}
	return fmt.Sprintf("%s (%q)", name, about)
}

func newRule(call specs.LinuxSyscall) (r rule, err error) {
	if len(call.Names) == 0 {
		return r, errors.New("it names no system call; give it names, or leave it out")
	}
	r.names = call.Names
	if r.value, err = action(call.Action, call.ErrnoRet); err != nil {
		return r, err
	}
	var all []condition
	each := false
	for _, a := range call.Args {
		c, err := newCondition(a)
		if err != nil {
			return r, err
		}
		each = each || slices.ContainsFunc(all, func(o condition) bool { return o.index == c.index })
		all = append(all, c)
	}
	if !each {
		r.ways = [][]condition{all}
		return r, nil
	}
	for _, c := range all {
		r.ways = append(r.ways, []condition{c})
	}
	return r, nil
}

// verdict is what becomes of a system call: the first clause that holds
// decides, and value if none does.
type verdict struct {
	clauses []clause
	value   uint32
	final   bool // a rule without arguments has set value
}

type clause struct {
	all   []condition
	value uint32
}

func (v *verdict) equal(w *verdict) bool {
	return v.value == w.value && slices.EqualFunc(v.clauses, w.clauses, func(a, b clause) bool {
		return a.value == b.value && slices.Equal(a.all, b.all)
	})
}

func (v *verdict) add(r rule) {
	switch {
	case v.final || r.redundant:
	case len(r.ways[0]) == 0:
		v.value, v.clauses, v.final = r.value, nil, true
	default:
		for _, way := range r.ways {
			v.clauses = append(v.clauses, clause{way, r.value})
		}
	}
}

// verdicts are those of the numbers in a space that the profile names.
func (c *compiler) verdicts(s space) map[uint32]*verdict {
	found := map[uint32]*verdict{}
	for _, r := range c.rules {
		for _, name := range r.names {
			numbers, ok := c.table[name]
			n := numbers[s.column]
			if !ok || n == absent || n < s.first || n > s.last {
				continue
			}
			if found[n] == nil {
				found[n] = &verdict{value: c.fallback}
			}
			found[n].add(r)
		}
	}
	c.known = c.known || len(found) > 0
	return found
}

// block is the code of a verdict.
type block struct {
	verdict *verdict
	at      label
}

// block returns the beginning of a verdict's code. Equal verdicts share it.
func (c *compiler) block(v *verdict) label {
	for _, b := range c.blocks {
		if b.verdict.equal(v) {
			return b.at
		}
	}
	at := c.ret(v.value)
	for _, clause := range slices.Backward(v.clauses) {
		no, yes := at, c.ret(clause.value)
		for _, condition := range slices.Backward(clause.all) {
			yes = condition.test(c.assembler, yes, no)
		}
		at = yes
	}
	c.blocks = append(c.blocks, block{v, at})
	return at
}

// assemble emits the program: which convention, which range of its numbers,
// what about the arguments.
func (c *compiler) assemble(machine []convention) {
	var ranges [][]numbers
	for _, convention := range machine {
		ranges = append(ranges, c.ranges(convention))
	}
	next := c.ret(unix.SECCOMP_RET_KILL_PROCESS)
	for i, convention := range slices.Backward(machine) {
		if !slices.ContainsFunc(convention.spaces, c.allows) {
			continue
		}
		tree := c.search(groups(ranges[i]))
		if int(tree) == len(c.code)-1 { // and not a verdict that is one for all numbers
			tree = c.load(offsetNumber)
		}
		next = c.jump(unix.BPF_JEQ, convention.audit, tree, next)
	}
	c.load(offsetArch)
}

func (c *compiler) allows(s space) bool { return slices.Contains(c.allowed, s.arch) }
