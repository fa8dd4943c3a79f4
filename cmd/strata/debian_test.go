// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debianEnv names a Debian root filesystem archive, to save making one.
const debianEnv = "STRATA_TEST_DEBIAN"

// debianArchive is a Debian minbase archive: the one named, or one made now.
func debianArchive(t *testing.T, dir string) string {
	t.Helper()
	if path := os.Getenv(debianEnv); path != "" {
		return path
	}
	if testing.Short() {
		t.Skip("making a Debian takes half a minute")
	}
	needs(t, "mmdebstrap")
	path := filepath.Join(dir, "debian.tar")
	out, err := exec.Command("mmdebstrap", "--variant=minbase", "bookworm", path).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("mmdebstrap: %v: %s", err, lines[len(lines)-1])
	}
	return path
}

// TestDebian does the main job on a real Debian.
func TestDebian(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", debianArchive(t, p.dir), "debian:12")
	if got := p.must("run", "--rm", "debian:12", "sed", "-n", "s/^ID=//p", "/etc/os-release"); got != "debian" {
		t.Errorf("ID=%q", got)
	}
	p.must("create", "--name", "one", "debian:12", "bash", "-ec",
		`echo "a note" > /etc/motd; useradd -m somebody; dpkg --list > /packages; rm -r /usr/share/doc/bash; chmod 700 /opt`)
	p.must("start", "-a", "one")
	changes := "\n" + p.must("diff", "one") + "\n"
	for _, want := range []string{
		"C /etc/motd", "C /etc/passwd", "A /home/somebody", "A /packages", "D /usr/share/doc/bash", "C /opt",
	} {
		if !strings.Contains(changes, "\n"+want+"\n") {
			t.Errorf("diff does not have %q:\n%s", want, changes)
		}
	}
	p.must("commit", "one", "debian:mine")
	if got := p.must("run", "--rm", "-u", "somebody", "debian:mine", "bash", "-c", "id -un; cd; pwd; cat /etc/motd"); got != "somebody\n/home/somebody\na note" {
		t.Errorf("in the new image: %q", got)
	}
	// the image as it was, by another tar
	p.must("create", "--name", "two", "debian:12", "true")
	p.must("export", "-o", "out.tar", "two")
	if out, err := exec.Command("sh", "-c", `cd "$1" && tar -tf debian.tar | sed 's,^\./,,; s,/$,,' | sort > a && tar -tf out.tar | sed 's,^\./,,; s,/$,,' | sort > b && diff a b`, "sh", p.dir).CombinedOutput(); err != nil && os.Getenv(debianEnv) == "" {
		t.Errorf("the export has other names: %v\n%s", err, out)
	}
	p.must("rm", "one", "two")
	needs(t, "unshare", "ip")
	p.must("gc", "-q")
	script := p.must("run", "--explain", "--rm", "--hostname", "box", "debian:12", "bash", "-c", "hostname; id; exit 7")
	cmd := exec.Command("sh", "-e")
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(script)
	want := p.try("run", "--rm", "--hostname", "box", "debian:12", "bash", "-c", "hostname; id; exit 7")
	if got := p.finish(cmd); got != want || got.code != 7 {
		t.Errorf("explained: %+v, run: %+v", got, want)
	}
	p.must("gc", "-q")
}

// TestMini does the main job with the embedded image.
func TestMini(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	needsMini(t, p)
	p.must("run", "--name", "one", "mini", "sh", "-c", "echo hello > /tmp/tmpfile.txt; ls -l / | head -n 3; ps; env | sort; df; mount; find /etc | wc -l; id; hostname; stat /etc/profile; grep -c root /etc/passwd")
	p.must("run", "--name", "two", "mini", "sh", "-c", "echo more >> /etc/profile; cp /etc/profile /x; mv /x /y; ln -s y z; chmod 600 y; touch w; rm w; mkdir d; tail -n 1 z")
	if got := p.must("diff", "one"); got != "C /tmp\nA /tmp/tmpfile.txt" {
		t.Errorf("one: %q", got)
	}
	if got := p.must("diff", "two"); got != "A /d\nC /etc\nC /etc/profile\nA /y\nA /z" && got != "A /d\nC /etc/profile\nA /y\nA /z" {
		t.Errorf("two: %q", got)
	}
	// at its first use by several at once it is there once
	q := newPlace(t)
	for i, r := range together(q, 4, func(int) []string { return []string{"run", "--rm", "mini", "echo", "x"} }) {
		if r.code != 0 || r.stdout != "x\n" {
			t.Errorf("first use %d: %+v", i, r)
		}
	}
	if got := q.must("images", "-q", "mini"); strings.Contains(got, "\n") {
		t.Errorf("mini is there more than once: %q", got)
	}
	for _, verb := range []string{"inspect", "history", "mount", "umount"} {
		q.must(verb, "mini")
	}
	p.must("rm", "one", "two")
	p.works()
}
