// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// capabilitySets are those of a process as bit masks.
type capabilitySets struct {
	bounding, effective, permitted, inheritable, ambient uint64
}

func parseCapabilities(c *specs.LinuxCapabilities) (sets capabilitySets, err error) {
	if c == nil {
		return sets, nil
	}
	for _, set := range []struct {
		mask  *uint64
		names []string
	}{
		{&sets.bounding, c.Bounding}, {&sets.effective, c.Effective}, {&sets.permitted, c.Permitted},
		{&sets.inheritable, c.Inheritable}, {&sets.ambient, c.Ambient},
	} {
		if *set.mask, err = capabilityMask(set.names); err != nil {
			return sets, err
		}
	}
	return sets, nil
}

// identitySteps give up what the program may not have. Their order is the
// kernel's: the bounding set while CAP_SETPCAP is there, ids while CAP_SETUID
// is, and no_new_privs last.
func identitySteps(s *specs.Spec) []step {
	return []step{{prepare: func(p *preparation) error {
		sets, err := parseCapabilities(s.Process.Capabilities)
		if err != nil {
			return err
		}
		p.dropBounding(sets.bounding)
		p.giveUp(s.Process.User, sets, s.Process.NoNewPrivileges)
		if s.Process.NoNewPrivileges {
			p.call("set no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
		}
		return nil
	}}}
}

func (p *preparation) dropBounding(keep uint64) {
	for bit := range capabilityNames {
		if keep&(1<<bit) == 0 { // EINVAL: a kernel that does not have it yet
			p.callTolerating(unix.EINVAL, "drop a capability", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(bit))
		}
	}
}

func (p *preparation) setIDs(u specs.User, keepCapabilities bool) {
	var groups uintptr
	if len(u.AdditionalGids) > 0 {
		list := append([]uint32(nil), u.AdditionalGids...)
		groups = spawn.Pin(&p.list, &list[0])
	}
	if len(u.AdditionalGids) > 0 || !groupsFixed() {
		p.call("set additional groups", unix.SYS_SETGROUPS, uintptr(len(u.AdditionalGids)), groups)
	}
	if u.UID != 0 && keepCapabilities {
		p.call("keep capabilities", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1)
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	p.call(fmt.Sprintf("set group id %d", gid), unix.SYS_SETRESGID, gid, gid, gid)
	p.call(fmt.Sprintf("set user id %d", uid), unix.SYS_SETRESUID, uid, uid, uid)
	if !p.detached { // a change of ids clears the signal that ties the child to its parent (prctl(2))
		p.list.Add(spawn.DieWithParent())
	}
}

func (p *preparation) setCapabilities(sets capabilitySets) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{}
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{
			Effective:   uint32(sets.effective >> shift),
			Permitted:   uint32(sets.permitted >> shift),
			Inheritable: uint32(sets.inheritable >> shift),
		}
	}
	p.call("set capabilities", unix.SYS_CAPSET, spawn.Pin(&p.list, header), spawn.Pin(&p.list, data))
	for bit := range capabilityNames {
		if sets.ambient&(1<<bit) != 0 {
			p.call("raise an ambient capability", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(bit))
		}
	}
}

// setpriv is the same for Explain, in front of the program.
func setpriv(process *specs.Process) string {
	sets, err := parseCapabilities(process.Capabilities)
	if err != nil {
		return ""
	}
	groups := "--clear-groups"
	if gids := process.User.AdditionalGids; len(gids) > 0 {
		groups = "--groups " + strings.Trim(strings.ReplaceAll(fmt.Sprint(gids), " ", ","), "[]")
	}
	command := fmt.Sprintf("setpriv --reuid %d --regid %d %s --bounding-set %s --inh-caps -all",
		process.User.UID, process.User.GID, groups, capabilityWords(sets.bounding))
	if process.NoNewPrivileges {
		command += " --no-new-privs"
	}
	return command
}
