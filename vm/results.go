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
	running   map[string]*packageResults
	failed    []string // packages
	completed []string // packages
	stray     []string // lines that are no events
}

// packageResults are those of a package that is not through.
type packageResults struct {
	output  map[string][]string // by test
	passed  int
	skipped []string
	wrong   []string // tests that failed, or were skipped and should not be
}

func newResults(report io.Writer, each bool, maySkip map[string]string) *results {
	return &results{report: report, each: each, maySkip: maySkip, running: map[string]*packageResults{}}
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
			r.stray = append(r.stray, string(line)) // and read on, or the tests would wait for ever
			continue
		}
		r.take(e)
	}
}

func (r *results) take(e event) {
	p := r.running[e.Package]
	if p == nil {
		p = &packageResults{output: map[string][]string{}}
		r.running[e.Package] = p
	}
	switch e.Action {
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(p, e)
			return
		}
		r.endTest(p, e)
		delete(p.output, e.Test)
	}
}

func (r *results) endTest(p *packageResults, e event) {
	if r.each {
		fmt.Fprintf(r.report, "    %s %s %s (%.1fs)\n", e.Action, e.Package, e.Test, e.Elapsed)
	}
	switch name := e.Package + " " + e.Test; {
	case e.Action == "pass":
		p.passed++
	case e.Action == "fail":
		p.wrong = append(p.wrong, e.Test)
		r.print("--- FAIL: "+name, p.output[e.Test])
	case r.maySkip[name] != "":
		p.skipped = append(p.skipped, e.Test+": "+r.maySkip[name])
	default:
		p.wrong = append(p.wrong, e.Test)
		r.print("--- skipped, and it should not be: "+name, p.output[e.Test])
	}
}

func (r *results) print(title string, lines []string) {
	fmt.Fprintln(r.report, title)
	for _, line := range lines {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			io.WriteString(r.report, "    "+strings.TrimRight(line, "\r\n")+"\n")
		}
	}
}

func (r *results) endPackage(p *packageResults, e event) {
	delete(r.running, e.Package)
	r.completed = append(r.completed, e.Package)
	verdict := "ok  "
	if e.Action == "fail" || len(p.wrong) > 0 {
		verdict = "FAIL"
		r.failed = append(r.failed, e.Package)
		r.print("of "+e.Package, p.output[""])
	}
	fmt.Fprintf(r.report, "%s\t%s\t%.1fs\t%d passed\n", verdict, e.Package, e.Elapsed, p.passed)
	for _, s := range p.skipped {
		fmt.Fprintln(r.report, "    skipped "+s)
	}
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
	for name, p := range r.running {
		for test, lines := range p.output {
			r.print("--- did not end: "+name+" "+test, lines)
		}
	}
}
