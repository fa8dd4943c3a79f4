// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// capabilityNames are in the kernel's numbering (include/uapi/linux/capability.h).
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// Capabilities are the names of the kernel's capabilities, by number, without
// "CAP_".
func Capabilities() []string { return slices.Clone(capabilityNames[:]) }

// capabilityMask is the set as a bit mask. Names are as in a specification:
// "CAP_CHOWN".
func capabilityMask(names []string) (uint64, error) {
	var mask uint64
next:
	for _, name := range names {
		for bit, known := range capabilityNames {
			if name == "CAP_"+known {
				mask |= 1 << bit
				continue next
			}
		}
		return 0, fmt.Errorf("capability %q: the kernel has none of this name", name)
	}
	return mask, nil
}

// capabilityWords are the mask in setpriv(1)'s notation.
func capabilityWords(mask uint64) string {
	words := "-all"
	for bit, name := range capabilityNames {
		if mask&(1<<bit) != 0 {
			words += ",+" + strings.ToLower(name)
		}
	}
	return words
}
