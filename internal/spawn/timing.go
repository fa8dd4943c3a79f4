// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"time"

	"golang.org/x/sys/unix"
)

// A Span is what one call of a child took, or several of one name after another.
type Span struct {
	Name string
	Took time.Duration
}

// instant is a moment on both clocks, by which the one is turned into the other.
type instant struct {
	time    time.Time
	counter uint64
}

func now() instant { return instant{time.Now(), counter()} }

// Spans is where the time of a child went, from Begin to the program's start:
// the clone, the calls, the waiting for its parent. It is for a child for which
// Continue has returned.
func (c *Child) Spans() []Span {
	r, end := c.request, now()
	perTick := float64(end.time.Sub(r.begun.time)) / float64(end.counter-r.begun.counter)
	last := r.begun.counter
	var spans []Span
	add := func(name string, at uint64) {
		took := time.Duration(float64(at-last) * perTick)
		last = at
		if n := len(spans); n > 0 && spans[n-1].Name == name {
			spans[n-1].Took += took
			return
		}
		spans = append(spans, Span{name, took})
	}
	for _, p := range r.parts {
		before := len(p.calls) - len(p.list.calls)
		for i, raw := range p.calls {
			switch {
			case raw.time == 0: // skipped, or the execve that did not return
			case i >= before:
				add(p.list.calls[i-before].Name, raw.time)
			case raw.nr == unix.SYS_RT_SIGACTION && i == 0:
				add("clone", raw.time)
			case raw.nr == unix.SYS_RT_SIGACTION:
				add("set signals to their default", raw.time)
			case raw.nr == unix.SYS_PRCTL:
				add("die with the parent", raw.time)
			default:
				add("take descriptors of its own", raw.time)
			}
		}
	}
	if !c.executed.time.IsZero() {
		add("execute the program", c.executed.counter)
	}
	return spans
}
