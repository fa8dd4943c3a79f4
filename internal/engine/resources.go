// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// mergeResources is old with what changed names in its place. Neither is written
// to; old may be nil.
func mergeResources(old, changed *specs.LinuxResources) *specs.LinuxResources {
	if old == nil {
		return changed
	}
	m := *old
	m.Memory = mergeMemory(old.Memory, changed.Memory)
	m.CPU = mergeCPU(old.CPU, changed.CPU)
	m.BlockIO = mergeBlockIO(old.BlockIO, changed.BlockIO)
	if changed.Pids != nil {
		m.Pids = changed.Pids
	}
	return &m
}

func mergeMemory(old, changed *specs.LinuxMemory) *specs.LinuxMemory {
	if old == nil || changed == nil {
		return first(changed, old)
	}
	m := *old
	m.Limit, m.Swap = first(changed.Limit, old.Limit), first(changed.Swap, old.Swap)
	m.Reservation = first(changed.Reservation, old.Reservation)
	m.Swappiness = first(changed.Swappiness, old.Swappiness)
	m.DisableOOMKiller = first(changed.DisableOOMKiller, old.DisableOOMKiller)
	return &m
}

func mergeCPU(old, changed *specs.LinuxCPU) *specs.LinuxCPU {
	if old == nil || changed == nil {
		return first(changed, old)
	}
	m := *old
	m.Shares, m.Quota, m.Period = first(changed.Shares, old.Shares), first(changed.Quota, old.Quota), first(changed.Period, old.Period)
	if changed.Cpus != "" {
		m.Cpus = changed.Cpus
	}
	if changed.Mems != "" {
		m.Mems = changed.Mems
	}
	return &m
}

func mergeBlockIO(old, changed *specs.LinuxBlockIO) *specs.LinuxBlockIO {
	if old == nil || changed == nil {
		return first(changed, old)
	}
	m := *old
	m.Weight = first(changed.Weight, old.Weight)
	m.WeightDevice = mergeDevices(old.WeightDevice, changed.WeightDevice, func(d specs.LinuxWeightDevice) specs.LinuxBlockIODevice {
		return d.LinuxBlockIODevice
	})
	m.ThrottleReadBpsDevice = mergeThrottles(old.ThrottleReadBpsDevice, changed.ThrottleReadBpsDevice)
	m.ThrottleWriteBpsDevice = mergeThrottles(old.ThrottleWriteBpsDevice, changed.ThrottleWriteBpsDevice)
	m.ThrottleReadIOPSDevice = mergeThrottles(old.ThrottleReadIOPSDevice, changed.ThrottleReadIOPSDevice)
	m.ThrottleWriteIOPSDevice = mergeThrottles(old.ThrottleWriteIOPSDevice, changed.ThrottleWriteIOPSDevice)
	return &m
}

func mergeThrottles(old, changed []specs.LinuxThrottleDevice) []specs.LinuxThrottleDevice {
	return mergeDevices(old, changed, func(d specs.LinuxThrottleDevice) specs.LinuxBlockIODevice { return d.LinuxBlockIODevice })
}

// mergeDevices is changed, and of old the devices that are not in it.
func mergeDevices[D any](old, changed []D, device func(D) specs.LinuxBlockIODevice) []D {
	kept := slices.DeleteFunc(slices.Clone(old), func(o D) bool {
		return slices.ContainsFunc(changed, func(c D) bool { return device(c) == device(o) })
	})
	return append(kept, changed...)
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}
