// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of test2json (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string  // empty for the package itself
	Elapsed float64 // seconds
	Output  string
}

// results reads what test2json writes, and reports a package when it is through.
type results struct {
	report    io.Writer
	each      bool              // report each test
	maySkip   map[string]string // by package and test
	rest      []byte            // of a line that is not complete
	output    map[string][]string
	passed    int // tests of this package
	skipped   []string
	wrong     []string // its tests that failed, or were skipped and should not be
	failed    []string // packages
	completed []string // packages
}

func newResults(report io.Writer, each bool, maySkip map[string]string) *results {
	return &results{report: report, each: each, maySkip: maySkip, output: map[string][]string{}}
}

// Write takes events, cut anywhere.
func (r *results) Write(p []byte) (int, error) {
	r.rest = append(r.rest, p...)
	for {
		line, rest, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		r.rest = rest
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return 0, fmt.Errorf("read a result: %w: %q", err, line)
		}
		r.take(e)
	}
}

func (r *results) take(e event) {
	switch e.Action {
	case "output":
		r.output[e.Test] = append(r.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
			return
		}
		r.endTest(e)
		delete(r.output, e.Test)
	}
}

func (r *results) endTest(e event) {
	if r.each {
		fmt.Fprintf(r.report, "    %-4s %s (%.1fs)\n", e.Action, e.Test, e.Elapsed)
	}
	switch name := e.Package + " " + e.Test; {
	case e.Action == "pass":
		r.passed++
	case e.Action == "fail":
		r.wrong = append(r.wrong, e.Test)
		r.print("--- FAIL: "+e.Test, r.output[e.Test])
	case r.maySkip[name] != "":
		r.skipped = append(r.skipped, e.Test+": "+r.maySkip[name])
	default:
		r.wrong = append(r.wrong, e.Test)
		r.print("--- skipped, and it should not be: "+e.Test, r.output[e.Test])
	}
}

func (r *results) print(title string, lines []string) {
	fmt.Fprintln(r.report, title)
	for _, line := range lines {
		if !strings.HasPrefix(line, "=== ") {
			io.WriteString(r.report, "    "+strings.TrimRight(line, "\r\n")+"\n")
		}
	}
}

func (r *results) endPackage(e event) {
	r.completed = append(r.completed, e.Package)
	verdict := "ok  "
	if e.Action == "fail" || len(r.wrong) > 0 {
		verdict = "FAIL"
		r.failed = append(r.failed, e.Package)
		r.print(fmt.Sprintf("%d tests of %s", len(r.wrong), e.Package), r.output[""])
	}
	fmt.Fprintf(r.report, "%s\t%s\t%.1fs\t%d passed\n", verdict, e.Package, e.Elapsed, r.passed)
	for _, s := range r.skipped {
		fmt.Fprintln(r.report, "    skipped "+s)
	}
	clear(r.output)
	r.passed, r.skipped, r.wrong = 0, nil, nil
}

// missing are the packages that were not heard of to their end.
func (r *results) missing(suites []suite) (names []string) {
	for _, s := range suites {
		if name := "strata/" + s.dir; !slices.Contains(r.completed, name) {
			names = append(names, name)
		}
	}
	return names
}

// unfinished is what the tests that did not end have written.
func (r *results) unfinished() {
	for test, lines := range r.output {
		r.print("--- did not end: "+test, lines)
	}
}
