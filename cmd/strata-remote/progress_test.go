// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"strata/internal/engine"
	"strata/internal/oci"
)

// newScreen is a progress on a terminal of that size that is drawn by hand.
func newScreen(width, height int) (*progress, *strings.Builder) {
	var out strings.Builder
	p := &progress{out: &out, size: func() (int, int) { return width, height }, stop: make(chan struct{}), byLayer: map[oci.Digest]*bar{}}
	return p, &out
}

func layers(n int) (all []oci.Descriptor) {
	for i := range n {
		all = append(all, oci.Descriptor{Digest: oci.FromBytes([]byte{byte(i)}), Size: 1_000_000})
	}
	return all
}

// shown is what was drawn since the last time, without what moves the cursor.
func shown(out *strings.Builder) string {
	text := regexp.MustCompile(`\x1b\[[0-9]*[A-Z]|\r`).ReplaceAllString(out.String(), "")
	out.Reset()
	return text
}

func TestBars(t *testing.T) {
	p, out := newScreen(100, 24)
	all := layers(3)
	ids := []any{all[0].Digest.Short(), all[1].Digest.Short(), all[2].Digest.Short()}
	now := time.Unix(1000, 0)
	p.expect(all)
	p.layer(engine.LayerProgress{Layer: all[0], State: engine.LayerHere})
	p.layer(engine.LayerProgress{Layer: all[1], State: engine.LayerFetching})
	p.draw(now)
	const empty = "[                                                  ]"
	want := fmt.Sprintf("%s  Already exists\n%s  "+empty+"  0B/1MB\n%s  Waiting\n1/3 layers    "+empty+"  0B/2MB\n", ids...)
	if got := shown(out); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	p.draw(now)
	if got := out.String(); got != "" {
		t.Errorf("nothing has changed, and it draws %q", got)
	}
	p.layer(engine.LayerProgress{Layer: all[1], State: engine.LayerFetching, Done: 500_000})
	p.draw(now.Add(time.Second))
	half := "[" + strings.Repeat("=", 25) + strings.Repeat(" ", 25) + "]"
	quarter := "[" + strings.Repeat("=", 12) + strings.Repeat(" ", 38) + "]"
	want = fmt.Sprintf("%s  Already exists\n%s  "+half+"  500kB/1MB  500kB/s  1s\n%s  Waiting\n1/3 layers    "+quarter+"  500kB/2MB  500kB/s  3s\n", ids...)
	if raw := out.String(); !strings.HasPrefix(raw, "\x1b[4A\r") {
		t.Errorf("the bars are not drawn over those before: %q", raw)
	}
	if got := shown(out); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	for _, l := range all[1:] {
		p.layer(engine.LayerProgress{Layer: l, State: engine.LayerApplied})
	}
	p.draw(now.Add(2 * time.Second))
	want = fmt.Sprintf("%s  Already exists\n%s  Pull complete\n%s  Pull complete\n3/3 layers    2MB\n", ids...)
	if got := shown(out); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// No line is as wide as the terminal, and there are never more than it has.
func TestBarsFit(t *testing.T) {
	for _, width := range []int{1, 2, 10, 20, 40, 79, 80, 200} {
		for _, height := range []int{1, 3, 24} {
			p, out := newScreen(width, height)
			all := layers(40)
			p.expect(all)
			for i, l := range all {
				p.layer(engine.LayerProgress{Layer: l, State: engine.LayerFetching, Done: int64(i)})
			}
			p.draw(time.Unix(1000, 0))
			lines := strings.Split(strings.TrimSuffix(shown(out), "\n"), "\n")
			if len(lines) > max(height-1, 1) {
				t.Errorf("%d lines on a terminal of %d", len(lines), height)
			}
			for _, line := range lines {
				if len(line) >= width && width > 1 {
					t.Errorf("%d columns on a terminal of %d: %q", len(line), width, line)
				}
			}
		}
	}
}

// Without a terminal each layer has a line, and with -q none.
func TestLines(t *testing.T) {
	p, out := newScreen(80, 24)
	p.size = nil
	all := layers(2)
	p.expect(all)
	for range 3 {
		p.layer(engine.LayerProgress{Layer: all[0], State: engine.LayerFetching, Done: 5})
		p.layer(engine.LayerProgress{Layer: all[1], State: engine.LayerHere})
	}
	p.layer(engine.LayerProgress{Layer: all[0], State: engine.LayerApplied})
	want := all[1].Digest.Short() + ": Already exists\n" + all[0].Digest.Short() + ": Pull complete\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.Reset()
	p.quiet = true
	p.expect(layers(3))
	p.layer(engine.LayerProgress{Layer: layers(3)[2], State: engine.LayerApplied})
	if got := out.String(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 999: "999B", 1000: "1kB", 1234: "1.23kB", 12345: "12.3kB", 99_949: "99.9kB", 123_456: "123kB", 999_499: "999kB", 999_500: "1MB",
		1_500_000_000: "1.5GB", 1 << 62: "4.61EB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 59_400 * time.Millisecond: "59s", 3_700 * time.Second: "1h01m", 1e6 * time.Hour: "99h00m", -5: "0s",
	} {
		if got := timeText(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
