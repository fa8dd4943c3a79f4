// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// minMemory is Docker's. Below some hundred kilobytes the child that becomes the
// container would be killed while it still shares its parent's memory, and the
// kernel then kills both.
const minMemory = 6 << 20

func (l *settings) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	for _, unsupported := range []struct {
		set   bool
		field string
	}{
		{m.Kernel != nil, "memory.kernel"}, //lint:ignore SA1019 to refuse it by name
		{m.KernelTCP != nil, "memory.kernelTCP"},
		{m.UseHierarchy != nil && !*m.UseHierarchy, "memory.useHierarchy false"},
	} {
		if unsupported.set {
			l.refuse(unsupported.field, "")
		}
	}
	limit, swap := value(m.Limit), value(m.Swap)
	if limit > 0 && limit < minMemory {
		l.bad("memory limit %d: at least %d bytes (6 MiB) are needed", limit, minMemory)
	}
	if limit == -1 && swap == 0 {
		swap = -1 // as runc does: all of it is unlimited
	}
	if swap > 0 && (limit == 0 || limit > swap) {
		l.bad("memory and swap limit %d: it includes memory, so it needs a memory limit that is not above it", swap)
	}
	l.checkBefore(m, limit)
	if l.version == 2 {
		l.memory2(limit, swap)
	} else {
		l.memory1(limit, swap)
	}
	if r := value(m.Reservation); r != 0 {
		l.set("memory.reservation", "memory.soft_limit_in_bytes", "memory.low", l.unlimited(r), "memory reservation "+number(r))
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		l.set("memory.disableOOMKiller", "memory.oom_control", "", "1", "disabling the OOM killer")
	}
	if m.Swappiness != nil {
		if *m.Swappiness > 100 {
			l.bad("memory swappiness %d: the kernel takes 0 to 100", *m.Swappiness)
		}
		l.set("memory.swappiness", "memory.swappiness", "", number(*m.Swappiness), "memory swappiness "+number(*m.Swappiness))
	}
}

// checkBefore refuses checkBeforeUpdate where the kernel does not check.
func (l *settings) checkBefore(m *specs.LinuxMemory, limit int64) {
	if m.CheckBeforeUpdate != nil && *m.CheckBeforeUpdate && l.version == 2 && limit > 0 {
		l.refuse("memory.checkBeforeUpdate", "with cgroup version 2")
	}
}

// unlimited writes a limit of memory, which below 0 is none.
func (l *settings) unlimited(n int64) string {
	switch {
	case n >= 0:
		return number(n)
	case l.version == 2:
		return "max"
	}
	return "-1"
}

func (l *settings) memory1(limit, swap int64) {
	if limit != 0 {
		l.set("memory.limit", "memory.limit_in_bytes", "", l.unlimited(limit), memoryText("memory limit", limit))
	}
	if swap != 0 {
		l.set("memory.swap", "memory.memsw.limit_in_bytes", "", l.unlimited(swap), memoryText("memory and swap limit", swap))
		l.optional(swapless(swap))
	}
}

// memory2 sets swap alone: here it is counted beside memory, and in a
// specification with it.
func (l *settings) memory2(limit, swap int64) {
	if swap > 0 && limit >= 0 {
		l.set("memory.swap", "", "memory.swap.max", number(max(swap-limit, 0)), memoryText("memory and swap limit", swap))
		l.optional(swapless(swap))
	} else if swap != 0 {
		l.set("memory.swap", "", "memory.swap.max", l.unlimited(swap), memoryText("memory and swap limit", swap))
		l.optional(swapless(swap))
	}
	if limit != 0 {
		l.set("memory.limit", "", "memory.max", l.unlimited(limit), memoryText("memory limit", limit))
	}
}

// swapless: where swap is not counted, no limit is as good as one that is
// unlimited, and any where nothing can be swapped out.
func swapless(limit int64) func() bool {
	return func() bool { return limit < 0 || !swapIsOn() }
}

func memoryText(what string, n int64) string {
	if n < 0 {
		return what + " unlimited"
	}
	return what + " " + strconv.FormatInt(n, 10)
}
