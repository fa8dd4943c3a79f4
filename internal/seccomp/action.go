// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// actions are what a filter returns for each, without an errno.
var actions = []struct {
	name  specs.LinuxSeccompAction
	value uint32
	data  uint // the largest errnoRet; 0: none
}{
	{specs.ActAllow, unix.SECCOMP_RET_ALLOW, 0},
	{specs.ActErrno, unix.SECCOMP_RET_ERRNO, 4095}, // MAX_ERRNO of the kernel
	{specs.ActKill, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActKillThread, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActKillProcess, unix.SECCOMP_RET_KILL_PROCESS, 0},
	{specs.ActTrap, unix.SECCOMP_RET_TRAP, 0},
	{specs.ActTrace, unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA},
	{specs.ActLog, unix.SECCOMP_RET_LOG, 0},
}

const errnoNoCall = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// action is what the filter returns for an action of a profile.
func action(name specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	for _, a := range actions {
		if a.name != name {
			continue
		}
		switch {
		case a.data == 0 && errno != nil:
			return 0, fmt.Errorf("action %s takes no errno; leave it out, or use %s", name, specs.ActErrno)
		case a.data == 0:
			return a.value, nil
		case errno == nil:
			return a.value | uint32(unix.EPERM), nil
		case *errno > a.data:
			return 0, fmt.Errorf("errno %d is too large; the most for %s is %d", *errno, name, a.data)
		}
		return a.value | uint32(*errno), nil
	}
	switch name {
	case specs.ActNotify:
		return 0, fmt.Errorf("action %s is not supported; use %s", name, specs.ActErrno)
	case "":
		return 0, fmt.Errorf("it has no action; name one, for example %s", specs.ActErrno)
	}
	return 0, fmt.Errorf("action %q is unknown; use %s, %s, %s, %s, %s, %s or %s", name, specs.ActAllow, specs.ActErrno,
		specs.ActKillThread, specs.ActKillProcess, specs.ActTrap, specs.ActTrace, specs.ActLog)
}

// lenient actions let a call that the profile does not name be made, or
// somebody decide about it.
func lenient(value uint32) bool {
	switch value & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return true
	}
	return false
}

// flags of seccomp(2) for those of a profile.
func flags(names []specs.LinuxSeccompFlag) (value uint32, err error) {
	for _, name := range names {
		switch name {
		case specs.LinuxSeccompFlagLog:
			value |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			value |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case "SECCOMP_FILTER_FLAG_TSYNC": // runc knows it too, although the specification does not
			value |= unix.SECCOMP_FILTER_FLAG_TSYNC
		case specs.LinuxSeccompFlagWaitKillableRecv:
			return 0, fmt.Errorf("flag %s is not supported: it belongs to %s; leave it out", name, specs.ActNotify)
		default:
			return 0, fmt.Errorf("flag %q is unknown; use %s or %s", name, specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow)
		}
	}
	return value, nil
}
