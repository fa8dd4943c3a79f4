// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Profile is a profile in Docker's form
// (github.com/moby/profiles/seccomp, seccomp.go): the specification's, with rules
// that hold on some machines and for some processes only.
type Profile struct {
	specs.LinuxSeccomp
	ArchMap  []archMap `json:"archMap"`
	Syscalls []syscall `json:"syscalls"`
	// DefaultErrno is the name of the errno, which Podman's profiles have
	// beside its number.
	DefaultErrno string `json:"defaultErrno"`
}

type archMap struct {
	Arch      specs.Arch   `json:"architecture"`
	SubArches []specs.Arch `json:"subArchitectures"`
}

type syscall struct {
	specs.LinuxSyscall
	Name     string `json:"name"` // the old form of names
	Comment  string `json:"comment"`
	Errno    string `json:"errno"` // as DefaultErrno
	Includes *scope `json:"includes"`
	Excludes *scope `json:"excludes"`
}

// scope is where a rule holds, or does not.
type scope struct {
	Caps      []string `json:"caps"`
	Arches    []string `json:"arches"`
	MinKernel *Kernel  `json:"minKernel"`
}

// Target is what a profile is resolved for.
type Target struct {
	Arch         string   // as GOARCH has it
	Capabilities []string // the bounding set
	Kernel       Kernel
}

// MaxProfile is the most bytes of a profile that Parse takes: one fits into a
// container's record, whatever JSON makes of its bytes.
const MaxProfile = 512 << 10

// Parse reads a profile in Docker's form, which the runtime specification's is
// too. A key that is in neither is an error, as it may have been meant to allow
// less.
func Parse(data []byte) (*Profile, error) {
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	return p, nil
}

func parse(data []byte) (*Profile, error) {
	if len(data) > MaxProfile {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxProfile)
	}
	var p *Profile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("it is not JSON in Docker's form: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it goes on after the end of the JSON; remove that")
	}
	if p == nil {
		return nil, errors.New("it is null; for none use unconfined")
	}
	return p, p.check()
}

func (p *Profile) check() error {
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return errors.New("it has both architectures and archMap; leave one of them out")
	}
	if p.DefaultErrno != "" && p.DefaultErrnoRet == nil {
		return errors.New("defaultErrno is a name only; give its number as defaultErrnoRet")
	}
	for i := range p.Syscalls {
		if err := p.Syscalls[i].check(); err != nil {
			return fmt.Errorf("%s: %w", ruleName(i, p.Syscalls[i].Names), err)
		}
	}
	return nil
}

// check also brings the old form of a rule into the new one.
func (s *syscall) check() error {
	if s.Name != "" && len(s.Names) > 0 {
		return errors.New("it has both name and names; leave name out")
	}
	if s.Name != "" {
		s.Names = []string{s.Name}
	}
	if s.Errno != "" && s.ErrnoRet == nil {
		return errors.New("errno is a name only; give its number as errnoRet")
	}
	_, err := newRule(s.LinuxSyscall) // also where the rule does not hold today
	return err
}

// Resolve is the profile without its conditions: what holds for t.
func (p *Profile) Resolve(t Target) (*specs.LinuxSeccomp, error) {
	machine, err := conventions(t.Arch)
	if err != nil {
		return nil, err
	}
	resolved := p.LinuxSeccomp
	resolved.Architectures, resolved.Syscalls = slices.Clone(p.Architectures), nil
	for _, a := range p.ArchMap {
		if a.Arch == machine[0].spaces[0].arch {
			resolved.Architectures = append(append(resolved.Architectures, a.Arch), a.SubArches...)
			break
		}
	}
	for i := range p.Syscalls {
		if s := &p.Syscalls[i]; s.holds(t) {
			resolved.Syscalls = append(resolved.Syscalls, s.LinuxSyscall)
		}
	}
	return &resolved, nil
}

// Compile is Compile of what holds for t.
func (p *Profile) Compile(t Target) (Filter, error) {
	s, err := p.Resolve(t)
	if err != nil {
		return Filter{}, err
	}
	return Compile(s, t.Arch)
}

// holds is setupSeccomp of moby/profiles: every condition to include must hold,
// and none to exclude.
func (s *syscall) holds(t Target) bool {
	if x := s.Excludes; x != nil {
		if slices.Contains(x.Arches, t.Arch) || slices.ContainsFunc(x.Caps, t.has) || x.MinKernel != nil && !t.Kernel.before(*x.MinKernel) {
			return false
		}
	}
	if i := s.Includes; i != nil {
		lacking := func(c string) bool { return !t.has(c) }
		if len(i.Arches) > 0 && !slices.Contains(i.Arches, t.Arch) || slices.ContainsFunc(i.Caps, lacking) ||
			i.MinKernel != nil && t.Kernel.before(*i.MinKernel) {
			return false
		}
	}
	return true
}

func (t Target) has(capability string) bool { return slices.Contains(t.Capabilities, capability) }
