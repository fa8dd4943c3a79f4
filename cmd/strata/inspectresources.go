// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/container"
)

// resourcesConfig is what of Docker's HostConfig are limits. Zero is none.
type resourcesConfig struct {
	Memory               int64
	MemorySwap           int64
	MemoryReservation    int64
	MemorySwappiness     *int64
	OomKillDisable       bool
	CpuShares            uint64
	CpuPeriod            uint64
	CpuQuota             int64
	CpusetCpus           string
	CpusetMems           string
	PidsLimit            *int64
	BlkioWeight          uint16
	BlkioWeightDevice    []deviceWeight
	BlkioDeviceReadBps   []deviceRate
	BlkioDeviceWriteBps  []deviceRate
	BlkioDeviceReadIOps  []deviceRate
	BlkioDeviceWriteIOps []deviceRate
	CgroupParent         string
	CgroupnsMode         string
}

// The kernel knows devices by their numbers, and so does the record.
type deviceRate struct {
	Path string // "254:0"
	Rate uint64
}

type deviceWeight struct {
	Path   string
	Weight uint16
}

func resourcesDocument(h *container.Host) resourcesConfig {
	c := resourcesConfig{CgroupParent: h.CgroupParent, CgroupnsMode: h.CgroupNS}
	if c.CgroupnsMode == "" {
		c.CgroupnsMode = "private"
	}
	r := h.Resources.LinuxResources
	if r == nil {
		r = &specs.LinuxResources{}
	}
	if m := r.Memory; m != nil {
		c.Memory, c.MemorySwap, c.MemoryReservation = orZero(m.Limit), orZero(m.Swap), orZero(m.Reservation)
		c.OomKillDisable = orZero(m.DisableOOMKiller)
		if m.Swappiness != nil {
			n := int64(*m.Swappiness)
			c.MemorySwappiness = &n
		}
	}
	if p := r.CPU; p != nil {
		c.CpuShares, c.CpuPeriod, c.CpuQuota = orZero(p.Shares), orZero(p.Period), orZero(p.Quota)
		c.CpusetCpus, c.CpusetMems = p.Cpus, p.Mems
	}
	if r.Pids != nil {
		c.PidsLimit = r.Pids.Limit
	}
	c.addBlockIO(r.BlockIO)
	return c
}

func (c *resourcesConfig) addBlockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		b = &specs.LinuxBlockIO{}
	}
	c.BlkioWeight, c.BlkioWeightDevice = orZero(b.Weight), []deviceWeight{}
	for _, d := range b.WeightDevice {
		c.BlkioWeightDevice = append(c.BlkioWeightDevice, deviceWeight{deviceName(d.LinuxBlockIODevice), orZero(d.Weight)})
	}
	c.BlkioDeviceReadBps, c.BlkioDeviceWriteBps = rates(b.ThrottleReadBpsDevice), rates(b.ThrottleWriteBpsDevice)
	c.BlkioDeviceReadIOps, c.BlkioDeviceWriteIOps = rates(b.ThrottleReadIOPSDevice), rates(b.ThrottleWriteIOPSDevice)
}

func rates(devices []specs.LinuxThrottleDevice) []deviceRate {
	all := []deviceRate{}
	for _, d := range devices {
		all = append(all, deviceRate{deviceName(d.LinuxBlockIODevice), d.Rate})
	}
	return all
}

func deviceName(d specs.LinuxBlockIODevice) string {
	return strconv.FormatInt(d.Major, 10) + ":" + strconv.FormatInt(d.Minor, 10)
}

func orZero[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}
