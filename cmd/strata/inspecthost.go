// SPDX-License-Identifier: Apache-2.0

package main

import "strata/internal/container"

// isolationConfig is what of Docker's HostConfig says how far a container is
// isolated.
type isolationConfig struct {
	CapAdd      []string
	CapDrop     []string
	Privileged  bool
	SecurityOpt []string
	GroupAdd    []string
	Ulimits     []ulimitConfig
	Devices     []deviceMapping
	Sysctls     map[string]string
	ShmSize     int64
	PidMode     string
	IpcMode     string
	UTSMode     string
	OomScoreAdj int
}

type ulimitConfig struct {
	Name       string
	Hard, Soft int64
}

type deviceMapping struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string
}

// defaultShmSize is that of /dev/shm where none was asked for, in bytes.
const defaultShmSize = 64 << 20

func isolationDocument(i *container.Isolation) isolationConfig {
	c := isolationConfig{
		CapAdd: list(i.CapAdd), CapDrop: list(i.CapDrop), Privileged: i.Privileged, SecurityOpt: []string{},
		GroupAdd: list(i.GroupAdd), Ulimits: []ulimitConfig{}, Devices: []deviceMapping{}, Sysctls: i.Sysctls,
		ShmSize: i.ShmSize, PidMode: i.PidMode, IpcMode: i.IpcMode, UTSMode: i.UTSMode, OomScoreAdj: i.OomScoreAdj,
	}
	if i.NewPrivileges {
		c.SecurityOpt = append(c.SecurityOpt, "no-new-privileges=false")
	}
	if i.Seccomp != "" {
		c.SecurityOpt = append(c.SecurityOpt, "seccomp="+i.Seccomp)
	}
	for _, u := range i.Ulimits {
		c.Ulimits = append(c.Ulimits, ulimitConfig{u.Name, u.Hard, u.Soft})
	}
	for _, d := range i.Devices {
		c.Devices = append(c.Devices, deviceMapping{d.Source, d.Target, "rwm"})
	}
	if c.Sysctls == nil {
		c.Sysctls = map[string]string{}
	}
	if c.ShmSize == 0 {
		c.ShmSize = defaultShmSize
	}
	if c.IpcMode == "" {
		c.IpcMode = "private"
	}
	return c
}

// list is ss, as a list of none rather than null.
func list(ss []string) []string {
	if ss == nil {
		return []string{}
	}
	return ss
}
