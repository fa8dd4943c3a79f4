// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"strata/internal/engine"
	"strata/internal/oci"
)

// redraw is how often bars are drawn anew at most.
const redraw = 100 * time.Millisecond

// A progress shows how far layers have come: bars on a terminal, otherwise a
// line for each layer that is done, with -q nothing. It may be used by several
// goroutines. Whoever prints something else closes it first.
type progress struct {
	out   io.Writer
	size  func() (width, height int) // of the terminal; nil where there is none
	quiet bool
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex // guards what follows
	bars    []*bar     // in the order of their layers
	byLayer map[oci.Digest]*bar
	changed bool
	drawn   int // lines that bars take on the screen
	meter   meter
}

// A bar is a layer's.
type bar struct {
	label       string
	state       string // what is happening, in a word or two
	done, total int64  // bytes
	skipped     bool   // nothing needs to be moved
	finished    bool
	begun       bool
	meter       meter
}

// newProgress shows progress on f. The caller closes it.
func newProgress(f *os.File, quiet bool) *progress {
	p := &progress{out: f, quiet: quiet, stop: make(chan struct{}), byLayer: map[oci.Digest]*bar{}}
	if !quiet && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.size = func() (int, int) {
			w, h, err := term.GetSize(int(f.Fd()))
			if err != nil || w < 1 || h < 1 {
				return 80, 24
			}
			return w, h
		}
		p.ended.Go(p.loop)
	}
	return p
}

// loop draws what has changed.
func (p *progress) loop() {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.draw(time.Now())
		case <-p.stop:
			return
		}
	}
}

// Close draws the bars a last time and leaves them on the screen.
func (p *progress) Close() error {
	close(p.stop)
	p.ended.Wait()
	if p.size != nil {
		p.draw(time.Now())
	}
	return nil
}

// expect announces layers, so that the total is right from the beginning.
func (p *progress) expect(layers []oci.Descriptor) {
	for _, l := range layers {
		p.set(l.Digest, "Waiting", 0, l.Size, false)
	}
}

// layer shows news of a layer that is taken in.
func (p *progress) layer(l engine.LayerProgress) {
	switch l.State {
	case engine.LayerHere:
		p.finish(l.Layer.Digest, "Already exists", true)
	case engine.LayerWaiting:
		p.set(l.Layer.Digest, "Waiting for another pull", 0, l.Layer.Size, false)
	case engine.LayerFetching:
		p.set(l.Layer.Digest, "Pulling", l.Done, l.Layer.Size, true)
	case engine.LayerApplied:
		p.finish(l.Layer.Digest, "Pull complete", false)
	}
}

// set says how many of the total bytes of a layer, or 0 if that is not known,
// have been moved.
func (p *progress) set(layer oci.Digest, state string, done, total int64, begun bool) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bar(layer)
	b.state, b.done, b.total, b.begun, p.changed = state, done, total, begun, true
}

// finish ends a layer; skipped if nothing of it had to be moved.
func (p *progress) finish(layer oci.Digest, state string, skipped bool) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bar(layer)
	if b.finished {
		return
	}
	b.state, b.finished, b.skipped, b.done, p.changed = state, true, skipped, b.total, true
	if p.size == nil {
		fmt.Fprintf(p.out, "%s: %s\n", b.label, b.state)
	}
}

// bar is the one of a layer, made when there is none yet. The caller holds mu.
func (p *progress) bar(layer oci.Digest) *bar {
	b := p.byLayer[layer]
	if b == nil {
		b = &bar{label: layer.Short()}
		p.byLayer[layer] = b
		p.bars = append(p.bars, b)
	}
	return b
}

// draw writes the bars over those that are there. On a screen that is too small
// for all, those that are moving come first.
func (p *progress) draw(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.changed || len(p.bars) == 0 {
		return
	}
	p.changed = false
	width, height := p.size()
	var screen strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA", p.drawn)
	}
	lines := append(p.lines(now, width, height-2), p.sum(now, width))
	for _, line := range lines {
		screen.WriteString("\r" + line + "\x1b[K\n")
	}
	screen.WriteString("\x1b[J") // what more was there before
	p.drawn = len(lines)
	io.WriteString(p.out, screen.String()) // a terminal that has gone away is no reason to stop
}

func (p *progress) lines(now time.Time, width, most int) (lines []string) {
	shown := p.bars
	if len(shown) > most {
		shown = nil
		for _, b := range p.bars {
			if b.begun && !b.finished && len(shown) < most {
				shown = append(shown, b)
			}
		}
	}
	for _, b := range shown {
		lines = append(lines, b.line(now, width))
	}
	return lines
}

func (b *bar) line(now time.Time, width int) string {
	if b.finished || !b.begun {
		return fit(fmt.Sprintf("%-12s  %s", b.label, b.state), width)
	}
	return gauge(b.label, b.done, b.total, b.meter.rate(now, b.done), width)
}

// sum is the line for all layers together.
func (p *progress) sum(now time.Time, width int) string {
	var done, total int64
	finished := 0
	for _, b := range p.bars {
		if b.finished {
			finished++
		}
		if !b.skipped {
			done, total = done+b.done, total+b.total
		}
	}
	label := fmt.Sprintf("%d/%d layers", finished, len(p.bars))
	if finished == len(p.bars) {
		return fit(fmt.Sprintf("%-12s  %s", label, bytesText(done)), width)
	}
	return gauge(label, done, total, p.meter.rate(now, done), width)
}

// gauge is a line with a bar as long as the width leaves room for.
func gauge(label string, done, total int64, rate float64, width int) string {
	text := bytesText(done)
	if total > 0 {
		text += "/" + bytesText(total)
	}
	if rate > 0 {
		text += fmt.Sprintf("  %s/s", bytesText(int64(rate)))
		if total > done {
			text += "  " + timeText(time.Duration(float64(total-done)/rate*float64(time.Second)))
		}
	}
	label = fmt.Sprintf("%-12s  ", label)
	room := min(width-len(label)-len("[]  ")-30, 50)
	if total <= 0 || room < 5 {
		return fit(label+text, width)
	}
	full := int(min(done, total) * int64(room) / total)
	return fit(label+"["+strings.Repeat("=", full)+strings.Repeat(" ", room-full)+"]  "+text, width)
}

// fit cuts a line of ASCII off before the last column, in which some terminals
// begin a new line.
func fit(line string, width int) string { return line[:min(len(line), max(width-1, 0))] }

// A meter measures a rate, smoothed so that people can read it.
type meter struct {
	at   time.Time
	done int64
	mean float64 // bytes in a second
}

func (m *meter) rate(now time.Time, done int64) float64 {
	const memory = 3.0 // seconds
	seconds := now.Sub(m.at).Seconds()
	switch {
	case m.at.IsZero():
		m.at, m.done = now, done
	case seconds >= 0.5 || m.mean == 0 && seconds > 0:
		weight := min(1, seconds/memory)
		current := float64(done-m.done) / seconds
		if m.mean == 0 {
			weight = 1
		}
		m.mean += weight * (current - m.mean)
		m.at, m.done = now, done
	}
	return m.mean
}

// bytesText is a size as Docker writes it, "12.3MB".
func bytesText(n int64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.3g%s", value, units[unit])
}

// timeText is how long something will take, roughly.
func timeText(d time.Duration) string {
	d = min(max(d, 0), 99*time.Hour)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()+0.5))
	}
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
