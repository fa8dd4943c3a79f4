// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func (l *settings) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	if b.LeafWeight != nil {
		l.refuse("blockIO.leafWeight", "")
	}
	if b.Weight != nil && *b.Weight != 0 {
		l.weight(*b.Weight, "")
	}
	for _, d := range b.WeightDevice {
		if d.LeafWeight != nil {
			l.refuse("blockIO.weightDevice.leafWeight", "")
		}
		if d.Weight != nil {
			l.weight(*d.Weight, fmt.Sprintf("%d:%d", d.Major, d.Minor))
		}
	}
	for _, throttle := range []struct {
		field, v1, key, unit string
		devices              []specs.LinuxThrottleDevice
	}{
		{"ReadBps", "read_bps", "rbps", "bytes/s read", b.ThrottleReadBpsDevice},
		{"WriteBps", "write_bps", "wbps", "bytes/s written", b.ThrottleWriteBpsDevice},
		{"ReadIOPS", "read_iops", "riops", "reads/s", b.ThrottleReadIOPSDevice},
		{"WriteIOPS", "write_iops", "wiops", "writes/s", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range throttle.devices {
			value := fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate)
			if l.version == 2 {
				value = fmt.Sprintf("%d:%d %s=%s", d.Major, d.Minor, throttle.key, rate(d.Rate))
			}
			l.set("blockIO.throttle"+throttle.field+"Device", "blkio.throttle."+throttle.v1+"_device", "io.max", value,
				fmt.Sprintf("limit %d %s for device %d:%d", d.Rate, throttle.unit, d.Major, d.Minor))
		}
	}
}

// rate is that of io.max, where 0 is refused and version 1 means no limit.
func rate(n uint64) string {
	if n == 0 {
		return "max"
	}
	return number(n)
}

// weight sets the share of a device, or with "" of every one. The files are
// BFQ's: no other scheduler that the kernel still has knows weights with
// version 1, and io.weight, in other units, is there for io.cost with version 2.
func (l *settings) weight(w uint16, device string) {
	if w < 10 || w > 1000 {
		l.bad("block IO weight %d: the kernel takes 10 to 1000", w)
	}
	limit, v1, v2 := "block IO weight "+number(w), "blkio.bfq.weight", "io.bfq.weight"
	value := number(w)
	if device != "" {
		limit, v1, value = limit+" for device "+device, "blkio.bfq.weight_device", device+" "+value
	}
	l.set("blockIO.weight", v1, v2, value, limit)
	if l.version == 2 {
		l.all[len(l.all)-1].instead = &instead{"io.weight", withDevice(device, number(weightOfBlockIO(w)))}
	} else if device == "" {
		l.all[len(l.all)-1].instead = &instead{"blkio.weight", value} // before 5.0, CFQ
	}
}

func withDevice(device, value string) string {
	if device == "" {
		return value
	}
	return device + " " + value
}
