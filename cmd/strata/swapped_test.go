// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/tree"
)

// longEnv asks for the long forms of tests that look for races: make test-long.
const longEnv = "STRATA_TEST_LONG"

// rounds is how often a test tries: with -short a tenth of what is usual.
func rounds(usual, long int) int {
	switch {
	case os.Getenv(longEnv) != "":
		return long
	case testing.Short():
		return usual / 10
	}
	return usual
}

// A swapper exchanges directories with links out of the root as quickly as it
// can, which whoever shares a volume with a container can do while that starts
// (CVE-2021-30465, CVE-2024-45310).
type swapper struct {
	stop chan struct{}
	done sync.WaitGroup
}

// swap exchanges each of dirs with the link that stands beside it.
func swap(t *testing.T, dirs []string) *swapper {
	t.Helper()
	s := &swapper{stop: make(chan struct{})}
	s.done.Go(func() {
		for {
			select {
			case <-s.stop:
				return
			default:
			}
			for _, dir := range dirs {
				if err := exchange(dir); err != nil {
					t.Errorf("exchange %s: %v", dir, err)
					return
				}
			}
		}
	})
	return s
}

// exchange puts the link where the directory is, or the other way round. What no
// container starts without is a link only for a moment.
func exchange(dir string) error {
	times := 1
	if base := filepath.Base(dir); base == "proc" || base == "dev" || base == "sys" {
		times = 2
	}
	for range times {
		if err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, dir+".link", unix.RENAME_EXCHANGE); err != nil {
			return err
		}
	}
	return nil
}

func (s *swapper) end() {
	close(s.stop)
	s.done.Wait()
}

// swapped are the trees of TestSwappedLinks: of the host, of a root filesystem
// and of a volume.
type swapped struct{ host, rootfs, volume, other string }

// newSwapped makes them, and beside each directory that will be exchanged the
// link.
func newSwapped(t *testing.T, p *place) (s swapped, exchanged []string) {
	t.Helper()
	s = swapped{host: p.dir + "/host", rootfs: p.dir + "/rootfs", volume: p.dir + "/volume", other: p.dir + "/other"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{s.host + "/etc", s.host + "/new", s.volume + "/sub/x/y", s.other} {
		must(os.MkdirAll(dir, 0o777))
	}
	must(os.CopyFS(s.rootfs, os.DirFS(os.Getenv(rootfsEnv))))
	must(os.WriteFile(s.host+"/canary", []byte("of the host"), 0o644))
	must(os.WriteFile(s.host+"/etc/passwd", []byte("user:x:4242:4242::/:/bin/sh\n"), 0o644))
	climb := strings.Repeat("../", strings.Count(s.volume, "/")+2)
	for dir, link := range map[string]string{
		s.rootfs + "/swap": s.host,
		s.rootfs + "/proc": climb + s.host,
		s.rootfs + "/dev":  s.host,
		s.rootfs + "/sys":  s.host,
		s.rootfs + "/etc":  climb + s.host + "/etc",
		s.volume + "/sub":  s.host,
		s.volume + "/work": climb + s.host,
		s.volume + "/self": "/proc/self/cwd",
	} {
		must(os.MkdirAll(dir, 0o777))
		must(os.Symlink(link, dir+".link"))
		exchanged = append(exchanged, dir)
	}
	return s, exchanged
}

// looking is a script that writes wherever it can and says whether it sees what
// is the host's.
const looking = `
for dir in /swap /vol /vol/sub /vol/work /vol/self /vol/sub/made /etc / .; do
	[ ! -e $dir/canary ] || echo "the host's canary at $dir"
	echo written > $dir/written
	mkdir $dir/made-inside
done 2>/dev/null
[ "$(id -u)" != 4242 ] || echo "the host's user"
true`

// commands are starts whose mounts, working directory and user are at names that
// are exchanged meanwhile.
func (s swapped) commands() [][]string {
	run := []string{"run", "--rm"}
	in := func(options ...string) []string { return append(append(run, options...), "sh", "-c", looking) }
	return [][]string{
		in("-v", s.volume+":/swap", "--rootfs", s.rootfs),
		in("-v", s.volume+":/vol", "-v", s.other+":/vol/sub", "--rootfs", s.rootfs),
		in("--tmpfs", "/swap/new/er", "--rootfs", s.rootfs),
		in("-w", "/swap/new/work", "--rootfs", s.rootfs),
		in("-v", s.other+"/file:/swap/file", "--rootfs", s.rootfs),
		in("-u", "user", "--init", "--rootfs", s.rootfs),
		in("-v", s.volume+":/vol", "--tmpfs", "/vol/sub/made", "bb"),
		in("-v", s.volume+":/vol", "-v", s.other+":/vol/work/made", "bb"),
		in("-v", s.volume+":/vol", "-w", "/vol/work/made", "bb"),
		in("-v", s.volume+":/vol", "-v", s.other+":/vol/self/made", "-w", "/vol/self/made", "bb"),
		in("-v", s.volume+":/vol:ro", "-v", s.other+":/vol/sub/x/y", "bb"),
		{"exec", "-w", "/vol/sub/made", "held", "sh", "-c", looking},
		{"exec", "-w", "/vol/work/made/../made", "held", "sh", "-c", looking},
	}
}

// TestSwappedLinks starts containers while links to the host's files come and go
// at every name they use. Each start either does inside what it was asked for or
// is refused in one line, and the host's files stay as they are.
func TestSwappedLinks(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	s, exchanged := newSwapped(t, p)
	if err := os.WriteFile(s.other+"/file", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	p.must("import", os.Getenv(rootfsEnv), "bb")
	before, mountsBefore := tree.Read(t, s.host, tree.WithRoot), hostMounts(t)
	held := p.start("run", "--rm", "--name", "held", "-v", s.volume+":/vol", "bb", "sh", "-c", forever)
	if !held.stdout.await(regexpReady, held.ended) {
		t.Fatalf("not ready: %q", held.stderr)
	}
	commands := s.commands()
	ran := make([]int, len(commands))
	swapper := swap(t, exchanged)
	for i := range rounds(260, 10_000) {
		i %= len(commands)
		if r := p.try(commands[i]...); r.code == 0 {
			ran[i]++
			if r.stdout != "" {
				t.Errorf("strata %q: %s", commands[i], r.stdout)
			}
		} else {
			p.failed(r.code, strings.Join(commands[i], " "), r)
		}
		if t.Failed() {
			break
		}
	}
	swapper.end()
	p.must("rm", "-f", "held")
	ends(t, held, 137)
	t.Logf("of each kind of start succeeded: %v", ran)
	if diff := cmp.Diff(before, tree.Read(t, s.host, tree.WithRoot)); diff != "" {
		t.Errorf("the host's files have changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(mountsBefore, hostMounts(t)); diff != "" {
		t.Errorf("the host's mounts have changed (-before +after):\n%s", diff)
	}
	p.works()
}

// hostMounts are the mount points of this namespace that are beneath the
// machine's own directories, where no other test has any.
func hostMounts(t *testing.T) (points []string) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if point := strings.Fields(line)[4]; !strings.HasPrefix(point, filepath.Clean(os.TempDir())) {
			points = append(points, point)
		}
	}
	return points
}
