// SPDX-License-Identifier: Apache-2.0

// Command bench measures strata against the floor (what the kernel takes) and
// against its peers, side by side in one run, and prints tables of ratios.
//
// It runs itself in a pid and a mount namespace of its own, and keeps all files
// in one directory. So whatever a peer starts or mounts is gone when the bench
// is, however that ends, and the host's own podman or docker is never touched.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A part is one table, or several that belong together.
type part struct {
	name string
	run  func(*bench) error
}

var parts = []part{
	{"version", (*bench).version},
	{"start", (*bench).start},
	{"exec", (*bench).exec},
	{"diff", (*bench).diff},
	{"commit", (*bench).commit},
	{"many", (*bench).many},
	{"load", (*bench).load},
}

// bench is where one run keeps its things.
type bench struct {
	dir     string // of this run, removed afterwards
	bin     string // strata, floor, empty, hello
	archive string // the Debian tree as a tar archive
	tree    string // and unpacked, as a lowerdir for those without a store
	percent int    // of the usual number of rounds
	podman  *engine
	docker  *engine
	serial  int // of containers that have a name
}

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	dir := os.Getenv("BENCH_DIR")
	if len(args) > 1 && args[0] == roleInit {
		return initMain(args[1:])
	}
	if len(args) > 1 && args[0] == roleInside {
		return inside(dir, args[1], args[2:])
	}
	for _, name := range args {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("%q is not a part; there are version, start, exec, diff, commit, many and load", name)
		}
	}
	return outside(dir, args)
}

// inside runs the parts named, or all.
func inside(dir, run string, names []string) (err error) {
	b := &bench{dir: run, bin: filepath.Join(dir, "bin"), archive: filepath.Join(dir, "debian.tar"), percent: 100}
	if text := os.Getenv("BENCH_ROUNDS"); text != "" {
		if b.percent, err = strconv.Atoi(text); err != nil || b.percent < 1 {
			return fmt.Errorf("BENCH_ROUNDS %q: it is a percentage", text)
		}
	}
	if err := hideHost(); err != nil {
		return err
	}
	defer func() {
		if b.docker != nil {
			err = errors.Join(err, b.docker.stop())
		}
	}()
	if err := b.prepare(); err != nil {
		return err
	}
	printMachine()
	for _, p := range parts {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		if err := p.run(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// prepare makes what all parts use: the Debian tree and a store with it as an
// image, on the same filesystem.
func (b *bench) prepare() error {
	b.tree = filepath.Join(b.dir, "tree")
	if err := os.Mkdir(b.tree, 0o755); err != nil {
		return err
	}
	if _, err := output("tar", "-C", b.tree, "-xf", b.archive); err != nil {
		return err
	}
	if _, err := b.strata("import", b.archive, image); err != nil {
		return err
	}
	b.podman, b.docker = newPodman(b), newDocker(b)
	return nil
}

// image is the Debian tree in every store.
const image = "bench-debian"

// rounds is the usual number n, as BENCH_ROUNDS scales it.
func (b *bench) rounds(n int) int { return max(1, n*b.percent/100) }

// strataCommand is a command line of strata on the store under test.
func (b *bench) strataCommand(args ...string) []string {
	return append([]string{filepath.Join(b.bin, "strata"), "--root", filepath.Join(b.dir, "store")}, args...)
}

func (b *bench) strata(args ...string) (string, error) { return output(b.strataCommand(args...)...) }

// path names a file of this run.
func (b *bench) path(elements ...string) string {
	return filepath.Join(append([]string{b.dir}, elements...)...)
}

func printMachine() {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	online, _ := os.ReadFile("/sys/devices/system/cpu/online")
	fmt.Printf("Linux %s, cores %s, load %s before\n",
		strings.TrimSpace(string(kernel)), strings.TrimSpace(string(online)), strings.Join(strings.Fields(string(load))[:1], ""))
}
