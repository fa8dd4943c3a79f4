// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// A table shows results in ratios to a floor.
type table struct {
	title   string
	results []result
	floor   time.Duration
	// targets are limits by the contender's name.
	targets map[string]time.Duration
	// comment says what is compared with what.
	comment string
}

const tableFormat = "%-32s %9s %9s %9s %6s %8s   %s\n"

func (t table) print() {
	fmt.Printf("\n%s\n\n", t.title)
	fmt.Printf(tableFormat, "who", "median ms", "min", "max", "runs", "x floor", "target ms")
	for _, r := range t.results {
		t.printRow(r)
	}
	fmt.Printf("\n%s\n", t.comment)
}

func (t table) printRow(r result) {
	if len(r.times) == 0 {
		fmt.Printf("%-32s %s\n", r.name, r.absent)
		return
	}
	sorted, median := r.times.sorted(), r.times.median()
	verdict := ""
	if limit, ok := t.targets[r.name]; ok {
		verdict = milliseconds(limit) + " met"
		if median > limit {
			verdict = milliseconds(limit) + " MISSED"
		}
	}
	fmt.Printf(tableFormat, r.name, milliseconds(median), milliseconds(sorted[0]), milliseconds(sorted[len(sorted)-1]),
		fmt.Sprint(len(sorted)), fmt.Sprintf("%.2f", ratio(median, t.floor)), verdict)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// milliseconds has three digits.
func milliseconds(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

// find is the result of the contender called name.
func find(results []result, name string) result {
	for _, r := range results {
		if r.name == name {
			return r
		}
	}
	return result{name: name}
}

func scale(d time.Duration, factor float64) time.Duration { return time.Duration(float64(d) * factor) }
