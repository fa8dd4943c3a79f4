// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"strata/mini/internal/command"
)

// limits are what ulimit shows, with the unit of each.
var limits = [...]struct {
	letter   byte
	resource int
	unit     uint64
	text     string
}{
	{'c', unix.RLIMIT_CORE, 512, "core file size (blocks)"},
	{'d', unix.RLIMIT_DATA, 1024, "data seg size (kb)"},
	{'f', unix.RLIMIT_FSIZE, 512, "file size (blocks)"},
	{'l', unix.RLIMIT_MEMLOCK, 1024, "max locked memory (kb)"},
	{'m', unix.RLIMIT_RSS, 1024, "max memory size (kb)"},
	{'n', unix.RLIMIT_NOFILE, 1, "open files"},
	{'s', unix.RLIMIT_STACK, 1024, "stack size (kb)"},
	{'t', unix.RLIMIT_CPU, 1, "cpu time (seconds)"},
	{'u', unix.RLIMIT_NPROC, 1, "max user processes"},
	{'v', unix.RLIMIT_AS, 1024, "virtual memory (kb)"},
}

func ulimitBuiltin(s *Shell, args []string) int {
	which, hard, soft, all := byte('f'), false, false, false
	args = args[1:]
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		for _, letter := range []byte(args[0][1:]) {
			switch letter {
			case 'H':
				hard = true
			case 'S':
				soft = true
			case 'a':
				all = true
			default:
				which = letter
			}
		}
		args = args[1:]
	}
	for _, l := range limits {
		if l.letter != which && !all {
			continue
		}
		lim, err := limit(l.resource)
		if err != nil {
			return s.fail("ulimit", "%s", command.Reason(err))
		}
		if len(args) == 0 {
			s.showLimit(l.text, lim, l.unit, hard, all)
		} else if err := setLimit(l.resource, lim, l.unit, args[0], hard, soft); err != nil {
			return s.fail("ulimit", "%s", command.Reason(err))
		}
		if !all {
			return 0
		}
	}
	if !all {
		return s.fail("ulimit", "illegal option -%c", which)
	}
	return 0
}

func (s *Shell) showLimit(text string, lim unix.Rlimit, unit uint64, hard, all bool) {
	value, shown := lim.Cur, "unlimited"
	if hard {
		value = lim.Max
	}
	if value != unix.RLIM_INFINITY {
		shown = strconv.FormatUint(value/unit, 10)
	}
	if all {
		shown = fmt.Sprintf("%-32s %s", text, shown)
	}
	fmt.Fprintln(s.out(), shown)
}

func setLimit(resource int, lim unix.Rlimit, unit uint64, text string, hard, soft bool) error {
	value := uint64(unix.RLIM_INFINITY)
	if text != "unlimited" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return unix.EINVAL
		}
		value = n * unit
	}
	if hard || !soft {
		lim.Max = value
	}
	if soft || !hard {
		lim.Cur = value
	}
	return unix.Setrlimit(resource, &lim)
}

// limit is the limit our children get. For open files Go raises our own soft
// limit and gives children the one it found, so it is read from a child that
// has not run yet: a copy of us, stopped by ptrace at its exec.
func limit(resource int) (lim unix.Rlimit, err error) {
	if resource == unix.RLIMIT_NOFILE {
		if lim, err := inheritedLimit(resource); err == nil {
			return lim, nil
		}
	}
	err = unix.Getrlimit(resource, &lim)
	return lim, err
}

func inheritedLimit(resource int) (lim unix.Rlimit, err error) {
	p, err := startStopped()
	if err != nil {
		return lim, err
	}
	err = unix.Prlimit(p, resource, nil, &lim)
	unix.Kill(p, unix.SIGKILL)
	unix.Wait4(p, nil, 0, nil)
	return lim, err
}

func startStopped() (int, error) {
	p, err := os.StartProcess(self(), []string{"true"}, &os.ProcAttr{Sys: &unix.SysProcAttr{Ptrace: true}})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}
