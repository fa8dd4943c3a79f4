// SPDX-License-Identifier: Apache-2.0

package container

import "strings"

// Isolation is what was asked to be other than usual of the walls around a
// container and of its limits. Its zero value is the usual.
type Isolation struct {
	CapAdd     []string `json:"capAdd,omitempty"` // "CAP_CHOWN", or "ALL"
	CapDrop    []string `json:"capDrop,omitempty"`
	Privileged bool     `json:"privileged,omitempty"`
	// NewPrivileges lets set-uid programs have their effect; NoNewPrivileges keeps
	// them from it in a privileged container too.
	NewPrivileges   bool `json:"newPrivileges,omitempty"`
	NoNewPrivileges bool `json:"noNewPrivileges,omitempty"`
	// Seccomp is the JSON of a seccomp profile, SeccompUnconfined, SeccompBuiltin,
	// or nothing for the usual. Where a container is asked for it may be the name
	// of a file with a profile.
	Seccomp  string            `json:"seccomp,omitempty"`
	GroupAdd []string          `json:"groupAdd,omitempty"` // names in the image, or numbers
	Ulimits  []Ulimit          `json:"ulimits,omitempty"`
	Devices  []Device          `json:"devices,omitempty"`
	Sysctls  map[string]string `json:"sysctls,omitempty"`
	ShmSize  int64             `json:"shmSize,omitempty"` // bytes; 0 is 64 MiB
	// PidMode, IpcMode and UTSMode are "" for a namespace of its own, "host", or
	// "container:ID" for that container's; IpcMode can be "none" and "shareable" too.
	PidMode    string `json:"pidMode,omitempty"`
	IpcMode    string `json:"ipcMode,omitempty"`
	UTSMode    string `json:"utsMode,omitempty"`
	Domainname string `json:"domainname,omitempty"`
	// OomScoreAdj is how soon the kernel kills it when memory is short: -1000 to
	// 1000. Zero leaves ours.
	OomScoreAdj int `json:"oomScoreAdj,omitempty"`
}

// A Ulimit is a limit on one process, with Docker's names: "nofile". -1 is
// unlimited.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}

// A Device is a device node of the host, or a directory of them, and its path
// inside.
type Device struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Joined is the container whose namespace a mode names, "" for none.
func Joined(mode string) string {
	name, found := strings.CutPrefix(mode, "container:")
	if !found {
		return ""
	}
	return name
}

// HostIDs is the flag because of which h can have no user namespace of its own,
// "" for none: root of one has no say over namespaces that were there before
// (user_namespaces(7)).
func (h *Host) HostIDs() string {
	for _, shared := range []struct{ flag, mode string }{
		{"--network", h.Network}, {"--pid", h.PidMode}, {"--ipc", h.IpcMode}, {"--uts", h.UTSMode},
	} {
		if shared.mode == "host" && shared.flag != "--uts" || Joined(shared.mode) != "" {
			return shared.flag + " " + shared.mode
		}
	}
	if h.Privileged {
		return "--privileged"
	}
	return ""
}
