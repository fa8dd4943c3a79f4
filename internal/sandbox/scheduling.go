// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// policies and schedulerFlags are the kernel's (include/uapi/linux/sched.h).
// SCHED_ISO is reserved there and does not exist.
var policies = map[specs.LinuxSchedulerPolicy]struct {
	number uint32
	option string // of chrt(1)
}{
	specs.SchedOther: {0, "--other"}, specs.SchedFIFO: {1, "--fifo"}, specs.SchedRR: {2, "--rr"},
	specs.SchedBatch: {3, "--batch"}, specs.SchedIdle: {5, "--idle"}, specs.SchedDeadline: {6, "--deadline"},
}

var schedulerFlags = map[specs.LinuxSchedulerFlag]uint64{
	specs.SchedFlagResetOnFork: 0x01, specs.SchedFlagReclaim: 0x02, specs.SchedFlagDLOverrun: 0x04,
	specs.SchedFlagKeepPolicy: 0x08, specs.SchedFlagKeepParams: 0x10,
}

// ioClasses are the kernel's (include/uapi/linux/ioprio.h), which ionice(1)
// takes by number too.
var ioClasses = map[specs.IOPriorityClass]int{
	specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3,
}

func checkScheduling(spec *specs.Spec) error {
	p := spec.Process
	if s := p.Scheduler; s != nil {
		if _, known := policies[s.Policy]; !known {
			return &UnsupportedError{Field: "process.scheduler", Value: string(s.Policy)}
		}
		for _, f := range s.Flags { // the clamps have no field for their values
			if _, known := schedulerFlags[f]; !known {
				return &UnsupportedError{Field: "process.scheduler", Value: string(f)}
			}
		}
	}
	if io := p.IOPriority; io != nil {
		if _, known := ioClasses[io.Class]; !known || io.Priority < 0 || io.Priority > 7 {
			return &UnsupportedError{Field: "process.ioPriority", Value: fmt.Sprintf("%s %d", io.Class, io.Priority)}
		}
	}
	if score := p.OOMScoreAdj; score != nil && (*score < -1000 || *score > 1000 || !mountsProc(spec)) {
		return &UnsupportedError{Field: "process.oomScoreAdj", Value: strconv.Itoa(*score)}
	}
	return nil
}

// schedulingSteps come while the child has CAP_SYS_NICE.
func schedulingSteps(process *specs.Process) []step {
	var steps []step
	if s := process.Scheduler; s != nil {
		steps = append(steps, schedulerStep(s))
	}
	if io := process.IOPriority; io != nil {
		class := ioClasses[io.Class]
		steps = append(steps, step{
			lines: line(fmt.Sprintf("ionice -c %d -n %d -p $$", class, io.Priority), "its turn at the disk"),
			prepare: func(p *preparation) error {
				const whoProcess, classShift = 1, 13
				p.call(fmt.Sprintf("set I/O priority %s %d", io.Class, io.Priority),
					unix.SYS_IOPRIO_SET, whoProcess, 0, uintptr(class<<classShift|io.Priority))
				return nil
			},
		})
	}
	return steps
}

func schedulerStep(s *specs.Scheduler) step {
	attr := &unix.SchedAttr{
		Policy: policies[s.Policy].number, Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	attr.Size = uint32(unsafe.Sizeof(*attr))
	for _, f := range s.Flags {
		attr.Flags |= schedulerFlags[f]
	}
	return step{
		lines: func() []Line {
			command := fmt.Sprintf("chrt %s --pid %d $$", policies[s.Policy].option, s.Priority)
			if s.Nice != 0 {
				command += fmt.Sprintf("; renice -n %d $$", s.Nice)
			}
			return []Line{{command, "its turn at the processors"}}
		},
		prepare: func(p *preparation) error {
			p.call("set scheduler "+string(s.Policy), unix.SYS_SCHED_SETATTR, 0, spawn.Pin(&p.list, attr), 0)
			return nil
		},
	}
}

// oomFile is where the kernel takes a process's adjustment (proc_pid_oom_score_adj(5)).
const oomFile = "/proc/self/oom_score_adj"

// oomSteps set how soon the kernel kills the process when memory is short. As
// long as the child shares our memory the kernel sets ours with it
// (__set_oom_adj in fs/proc/base.c); ours is put back when the child has
// executed.
func oomSteps(s *specs.Spec) []step {
	if s.Process.OOMScoreAdj == nil {
		return nil
	}
	text := strconv.Itoa(*s.Process.OOMScoreAdj)
	return []step{{
		lines: line("echo "+text+" > "+oomFile, "how soon it is killed when memory is short"),
		prepare: func(p *preparation) error {
			own, err := readSmall(oomFile)
			if err != nil {
				return err
			}
			own = strings.TrimSpace(own)
			name := "set oom_score_adj"
			if ours, err := strconv.Atoi(own); err == nil && *s.Process.OOMScoreAdj < ours {
				name += " (ours is " + own + ", and only CAP_SYS_RESOURCE lowers it)"
			}
			p.writeFile(name, strings.TrimPrefix(oomFile, "/"), text)
			p.after = append(p.after, func() error { return writeSmall(oomFile, own) })
			return nil
		},
	}}
}
