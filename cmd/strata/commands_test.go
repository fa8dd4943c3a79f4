// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"strata/internal/tree"
)

type script = testscript.TestScript

// scriptCommands are the scripts' own commands beside testscript's.
//
//	exits CODE PROGRAM…     run a program, which ends with that exit code
//	fails CODE ARGUMENT…    run strata, which fails with that code, one line and no output
//	eventually PATTERN PROGRAM…  run a program until its output has the pattern
//	capture NAME            put the last output, without its newline, into a variable
//	json PATH… OP VALUE     compare something in the last output, which is JSON
//	clean                   nothing half-done is in the store
//	works IMAGE             clean, and every command works that IMAGE, with a shell, is enough for
//	sametree A B            two directories hold the same
//	start NAME PROGRAM…     run a program beside the script
//	until NAME PATTERN      wait until its output has the pattern
//	signal NAME SIGNAL      send it a signal
//	finish NAME CODE        wait until it ends with that exit code
//	registry NAME [tls] [password]  run a registry, whose address is in that variable
func scriptCommands() map[string]func(*script, bool, []string) {
	commands := map[string]func(*script, []string){
		"exits": exits, "fails": fails, "eventually": eventually, "capture": capture, "json": jsonCommand, "clean": clean, "works": works,
		"sametree": sameTree, "start": startProgram, "until": until, "signal": signalProgram, "finish": finish, "registry": startRegistry,
	}
	adapted := map[string]func(*script, bool, []string){}
	for name, f := range commands {
		adapted[name] = func(ts *script, not bool, args []string) {
			if not {
				ts.Fatalf("! %s: it cannot be negated", name)
			}
			f(ts, args)
		}
	}
	return adapted
}

// exitCode is what a program ended with; -1 for a signal or no start.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

func exits(ts *script, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	if got := exitCode(err); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d (%v), want %s", got, err, args[0])
	}
}

func fails(ts *script, args []string) {
	exits(ts, append([]string{args[0], "strata"}, args[1:]...))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("a command that fails has output: %q", out)
	}
	if problem := notOneLine(ts.ReadFile("stderr")); problem != "" {
		ts.Fatalf("%s", problem)
	}
}

// eventually is for what another program does soon.
func eventually(ts *script, args []string) {
	pattern, deadline := regexp.MustCompile("(?m)"+args[0]), time.Now().Add(patience)
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no output with %q", args[0])
		}
	}
}

// notOneLine says what is wrong with a message, "" for nothing: it is one line,
// says who speaks, has no Go syntax and tells once what it tells.
func notOneLine(message string) string {
	text, isOurs := strings.CutPrefix(message, "strata: ")
	switch {
	case !isOurs:
		return "the message does not begin with strata: " + strconv.Quote(message)
	case strings.Count(message, "\n") != 1 || !strings.HasSuffix(message, "\n"):
		return "the message is not one line: " + strconv.Quote(message)
	case strings.Contains(text, "strata: ") || strings.Contains(text, "goroutine ") || strings.Contains(text, "%!"):
		return "the message is not made for people: " + strconv.Quote(message)
	}
	return ""
}

func capture(ts *script, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// clean checks what a command that has ended, well or not, may not leave.
func clean(ts *script, _ []string) {
	if left := halfDone(ts.Getenv("STRATA_ROOT")); len(left) > 0 {
		ts.Fatalf("half-done: %q", left)
	}
}

// halfDone lists what is in a store that no finished command leaves.
func halfDone(root string) []string {
	left, _ := filepath.Glob(root + "/staging/*")
	for pattern, needed := range map[string]string{"/containers/*": "config.json", "/layers/*": "tree", "/names/*": ""} {
		entries, _ := filepath.Glob(root + pattern)
		for _, e := range entries {
			if _, err := os.Stat(filepath.Join(e, needed)); err != nil { // through the link of a name
				left = append(left, e)
			}
		}
	}
	temporary, _ := filepath.Glob(root + "/images/*/.*")
	return append(left, temporary...)
}

// worksBriefly are enough where the commands are not what is tested (-short).
var worksBriefly = []string{"ps -a", "run --rm IMAGE true", "gc"}

var worksAll = []string{
	"images", "ps -a", "df", "df -v", "info", "version", "history IMAGE", "inspect IMAGE",
	"run --rm IMAGE true", "create --name works-probe IMAGE true", "start -a works-probe",
	"diff works-probe", "commit works-probe works-probe:x", "export -o works-probe.tar works-probe",
	"mount works-probe", "umount works-probe", "rm works-probe", "rmi works-probe:x", "tag IMAGE works-probe:y",
	"rmi works-probe:y", "import TAR works-probe:z", "rmi works-probe:z", "gc",
}

// works runs each command once on what is there.
func works(ts *script, args []string) {
	clean(ts, nil)
	commands := worksAll
	if testing.Short() {
		commands = worksBriefly
	}
	words := strings.NewReplacer("IMAGE", args[0], "TAR", ts.Getenv("TAR"))
	for _, command := range commands {
		if ts.Getenv(ordinaryEnv) != "" && strings.Contains(command, "mount") { // inside strata unshare only
			continue
		}
		if err := ts.Exec("strata", strings.Fields(words.Replace(command))...); err != nil {
			ts.Fatalf("strata %s: %v", command, err)
		}
	}
	clean(ts, nil)
	if trash, _ := filepath.Glob(ts.Getenv("STRATA_ROOT") + "/trash/*"); len(trash) > 0 {
		ts.Fatalf("the trash is not empty after gc: %q", trash)
	}
}

// sameTree compares times to the second: an archive has no more.
func sameTree(ts *script, args []string) {
	got, want := readTree(ts, args[0]), readTree(ts, args[1])
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("%s (+) differs from %s (-):\n%s", args[0], args[1], diff)
	}
}

func readTree(ts *script, dir string) tree.Tree {
	t := tree.Read(fataler{ts}, ts.MkAbs(dir), tree.WithRoot, tree.NoDirTimes)
	for i := range t {
		t[i].Mtime = t[i].Mtime.Truncate(time.Second)
		if t[i].Kind == tree.KindSymlink { // a link made by tests has a time of its own
			t[i].Mtime = time.Time{}
		}
	}
	return t
}

type fataler struct{ *script }

func (fataler) Helper() {}
