// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/seccomp"
	"strata/internal/spawn"
)

// seccompStep finds the filter; finish installs it.
func seccompStep(p *Plan) step {
	return step{
		lines: func() []Line {
			f, err := p.filter()
			if f == nil || err != nil {
				return nil
			}
			return []Line{{
				fmt.Sprintf("# a seccomp filter of %d instructions", f.Len()),
				"no system calls but a profile's; a shell has no command for it",
			}}
		},
		prepare: func(prep *preparation) (err error) {
			prep.filter, err = p.filter()
			return err
		},
	}
}

// filter is the one that was compiled before, or the specification's, or nil.
func (p *Plan) filter() (*seccomp.Filter, error) {
	if p.options.Seccomp != nil || p.spec.Linux.Seccomp == nil {
		return p.options.Seccomp, nil
	}
	f, err := seccomp.Compile(p.spec.Linux.Seccomp, runtime.GOARCH)
	return &f, err
}

// giveUp adds the calls with which the process becomes the user u with the
// capabilities sets, for good where there is no way to more.
//
// To install a filter takes no_new_privs or CAP_SYS_ADMIN (seccomp(2)). Without
// the former the capabilities are given up after the filter, in finish, since a
// filter is to stand in the way of as few of our own calls as can be.
func (p *preparation) giveUp(u specs.User, sets capabilitySets, noNewPrivileges bool) {
	p.late = nil
	if p.filter == nil || noNewPrivileges {
		p.setIDs(u, sets.permitted != 0)
		p.setCapabilities(sets)
		return
	}
	p.late = &sets
	p.setIDs(u, true)
	if u.UID != 0 { // what is kept over a change of ids is not in effect (capabilities(7))
		wide := sets.permitted | 1<<unix.CAP_SYS_ADMIN
		p.setCapabilities(capabilitySets{effective: wide, permitted: wide})
	}
}

// finish adds what comes just before execve: the filter, and after it the
// capabilities if they have waited for it. Every process of a sandbox has it.
func (p *preparation) finish() {
	if p.filter == nil {
		return
	}
	program := p.filter.Program
	arguments := &unix.SockFprog{
		Len:    uint16(p.filter.Len()),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])),
	}
	p.call("install the seccomp filter", unix.SYS_SECCOMP,
		unix.SECCOMP_SET_MODE_FILTER, uintptr(p.filter.Flags), spawn.Pin(&p.list, arguments))
	if p.late != nil {
		p.setCapabilities(*p.late)
	}
}
