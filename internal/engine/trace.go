// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// A Trace notes where the time of one start goes: ours, step after step, and
// beside it that of the container's first process up to its program. A nil Trace
// notes nothing.
type Trace struct {
	before time.Duration // processor time until NewTrace
	last   time.Time
	ours   []spawn.Span
	child  []spawn.Span
}

// NewTrace begins now.
func NewTrace() *Trace {
	var cpu unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &cpu) // without it there is a zero
	return &Trace{before: time.Duration(cpu.Nano()), last: time.Now()}
}

// Mark ends a step.
func (t *Trace) Mark(step string) { t.markAt(step, time.Now()) }

func (t *Trace) markAt(step string, at time.Time) {
	if t == nil {
		return
	}
	t.ours = append(t.ours, spawn.Span{Name: step, Took: at.Sub(t.last)})
	t.last = at
}

// Print writes the steps, in microseconds.
func (t *Trace) Print(w io.Writer) error {
	lines := append([]spawn.Span{{Name: "before that, of processor time: Go's own start", Took: t.before}}, t.ours...)
	if err := printSpans(w, "strata", lines); err != nil {
		return err
	}
	return printSpans(w, "the container's first process, meanwhile", t.child)
}

func printSpans(w io.Writer, title string, spans []spawn.Span) error {
	if _, err := fmt.Fprintf(w, "%10s  %s\n", "µs", title); err != nil {
		return err
	}
	var all time.Duration
	for _, s := range spans {
		all += s.Took
		if _, err := fmt.Fprintf(w, "%10.1f  %s\n", micros(s.Took), s.Name); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%10.1f  together\n", micros(all))
	return err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
