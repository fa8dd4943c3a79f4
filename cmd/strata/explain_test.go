// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// utilLinuxRootfs is the busybox root with the two programs of util-linux that
// an explained script runs inside, and their libraries.
func utilLinuxRootfs(t *testing.T, p *place) string {
	t.Helper()
	needs(t, "setpriv", "ldd", "unshare", "ip")
	dir := filepath.Join(p.dir, "rootfs")
	if err := os.CopyFS(dir, os.DirFS(os.Getenv(rootfsEnv))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"setpriv", "umount"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip(err)
		}
		libraries, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Skip("ldd: ", err)
		}
		os.Remove(filepath.Join(dir, "bin", name)) // a link to busybox
		copyProgram(t, path, filepath.Join(dir, "bin", name))
		for word := range strings.FieldsSeq(string(libraries)) {
			if strings.HasPrefix(word, "/") {
				copyProgram(t, word, dir+word)
			}
		}
	}
	return dir
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestExplain runs a container and the script that explains it, and compares
// what a program sees in the two.
func TestExplain(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	explainsIn(t, p, utilLinuxRootfs(t, p))
}

func explainsIn(t *testing.T, p *place, rootfs string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(p.dir, "data with space"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "data with space", "file"), []byte("host's\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.must("import", rootfs, "img")
	const look = `echo "args: $*"; cat /data/file 2>/dev/null; hostname; pwd; id; echo "$VAR" | od -c 2>/dev/null || echo "$VAR"
grep -E "^(Cap|NoNewPrivs|Groups)" /proc/self/status; env | sort
cut -d" " -f2-4 /proc/mounts | sed "s/,lowerdir.*//" | sort; cd /dev; stat -c "%A %t:%T %N" *; ls /sys/class/net
cat /proc/keys | wc -l; (echo x > /proc/sys/kernel/hostname) 2>&1; (echo x > /root-file) 2>&1; [ $$ -gt 9 ] || echo $$; ulimit -n; cat /proc/self/oom_score_adj /proc/sys/kernel/shmmni /proc/sys/kernel/domainname; stat -c "%A %t:%T %N" sub/* 2>&1; exit 7`
	for _, c := range []struct {
		name string
		args []string
	}{
		{"plain", nil},
		{"user and directory", []string{"-u", "1000:10", "-w", "/usr", "-e", "VAR=it's \"quoted\" $HOME `x`"}},
		{"read-only", []string{"--read-only", "--tmpfs", "/tmp:size=1m"}},
		{"mounts", []string{"-v", p.dir + "/data with space:/data:ro", "--mount", "type=tmpfs,target=/usr/x y,tmpfs-mode=700"}},
		{"network", []string{"--network", "host"}},
		{"capabilities", []string{"--cap-drop", "chown", "--cap-add", "sys_admin", "--security-opt", "no-new-privileges=false"}},
		{"limits", []string{"--ulimit", "nofile=99:100", "--oom-score-adj", "321", "--shm-size", "1m", "--sysctl", "kernel.shmmni=88", "--domainname", "dom"}},
		{"devices", []string{"--device", "/dev/loop-control", "--device", "/dev/zero:/dev/sub/z", "--group-add", "7"}},
		{"shared", []string{"--pid", "host", "--ipc", "host"}},
	} {
		args := append(append([]string{"--rm", "--hostname", "box"}, c.args...), "img", "sh", "-c", look, "zero", "a b", "c'd")
		ran := p.try(append([]string{"run"}, args...)...)
		script := p.must(append([]string{"run", "--explain"}, args...)...)
		cmd := exec.Command("sh", "-e")
		cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(script)
		explained := p.finish(cmd)
		if diff := cmp.Diff(ran, explained, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%s: the script (+) does not what run (-) does:\n%s\nscript:\n%s", c.name, diff, script)
		}
		if ran.code != 7 {
			t.Errorf("%s: exit code %d: %s", c.name, ran.code, ran.stderr)
		}
	}
	p.must("gc", "-q")
}

// TestExplainMakesNothing checks that the store is as before.
func TestExplainMakesNothing(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("run", "--rm", "bb", "true") // the first start keeps what the next are quicker with
	p.must("gc", "-q")
	before := listingOf(t, p.root)
	script := p.must("run", "--explain", "-it", "--init", "--name", "xx", "-v", p.dir+":/data", "bb", "true")
	if diff := cmp.Diff(before, listingOf(t, p.root)); diff != "" {
		t.Errorf("the store has changed:\n%s", diff)
	}
	for _, want := range []string{"unshare", "mount -t overlay", "lowerdir=", "pivot_root", "# "} {
		if !strings.Contains(script, want) {
			t.Errorf("the script does not have %q:\n%s", want, script)
		}
	}
	for i, line := range strings.Split(script, "\n") {
		if len(line) > 0 && !strings.Contains(line, "#") && !strings.HasPrefix(line, "SANDBOX") && i > 0 {
			if previous := strings.Split(script, "\n")[i-1]; !strings.HasPrefix(previous, "# ") {
				t.Errorf("line %d has no why: %s", i+1, line)
			}
		}
	}
	p.fails(125, "run", "--explain", "nothing", "true")
	p.fails(125, "run", "--explain", "-u", "nobody-here", "bb", "true")
	p.fails(125, "run", "--explain")
}

func listingOf(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
