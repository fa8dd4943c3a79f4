// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newUserPlace is newPlace for an ordinary user made for the test, with
// subordinate ids or without.
func newUserPlace(t *testing.T, subordinate bool) *place {
	t.Helper()
	needsContainers(t)
	needs(t, "useradd", "userdel")
	if subordinate {
		needs(t, "newuidmap", "newgidmap")
	}
	p := newPlace(t)
	name := addUser(t, p.dir, subordinate)
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := openTo(p.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	p.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	p.env = append(p.env, "HOME="+p.dir, "USER="+name, "XDG_DATA_HOME=", "SHELL=/bin/sh")
	return p
}

// openTo lets every user reach the temporary directory dir.
func openTo(dir string) error {
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// addUser makes a user until the test's end. useradd(8) gives subordinate ids to
// all but users of the system.
func addUser(t *testing.T, home string, subordinate bool) string {
	t.Helper()
	name := fmt.Sprintf("strata-%d-%x", os.Getpid(), rand.Uint32())
	args := []string{"--no-create-home", "--home-dir", home, "--shell", "/bin/false", name}
	if !subordinate {
		args = append([]string{"--system"}, args...)
	}
	if out, err := accounts("useradd", args...); err != nil {
		t.Skipf("no user can be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := accounts("userdel", name); err != nil {
			t.Errorf("userdel: %v: %s", err, out)
		}
	})
	if ids, _ := os.ReadFile("/etc/subuid"); subordinate && !strings.Contains("\n"+string(ids), "\n"+name+":") {
		t.Skip("useradd gives no subordinate ids here")
	}
	return name
}

// accounts runs a program that changes the system's accounts, again while another
// one has them locked or the user's last process, which empties the trash, has not
// ended.
func accounts(program string, args ...string) (string, error) {
	for deadline := time.Now().Add(patience); ; {
		out, err := exec.Command(program, args...).CombinedOutput()
		busy := strings.Contains(string(out), "cannot lock") || strings.Contains(string(out), "is currently used by process")
		if err == nil || !busy || time.Now().After(deadline) {
			return string(out), err
		}
	}
}

// userImport imports the test's root filesystem. Without subordinate ids there is
// a line about it.
func (p *place) userImport(name string) {
	p.t.Helper()
	r := p.try("import", os.Getenv(rootfsEnv)+".tar", name)
	if r.code != 0 {
		p.t.Fatalf("import: %+v", r)
	}
}

// TestOrdinaryUser does what every user does as one without privilege.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	for name, subordinate := range map[string]bool{"subordinate ids": true, "one id": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newUserPlace(t, subordinate)
			p.userImport("bb")
			p.works()
			for _, c := range []string{
				"images", "ps -a", "df", "df -v", "info", "inspect bb", "history bb", "run --rm --network host bb true",
				"run --rm --read-only bb true", "run --rm --init bb true", "run --rm --tmpfs /x bb touch /x/y", "gc",
			} {
				if r := p.try(strings.Fields(c)...); r.code != 0 || r.stderr != "" {
					t.Errorf("strata %s: %+v", c, r)
				}
			}
			if r := p.try("run", "--rm", "bb", "sh", "-c", "id -u; exit 7"); r != (result{7, "0\n", ""}) {
				t.Errorf("exit code and user: %+v", r)
			}
			p.must("run", "--name", "one", "bb", "sh", "-c", "echo x > /x; rm /etc/profile; mkdir /d; rm -r /usr/share; mkdir -p /usr/share")
			if got := p.must("diff", "one"); got != "A /d\nC /etc\nD /etc/profile\nC /usr\nC /usr/share\nD /usr/share/doc\nA /x" {
				t.Errorf("diff: %q", got)
			}
			p.must("commit", "one", "two")
			if got := p.must("run", "--rm", "two", "sh", "-c", "cat /x; ls -A /usr/share /d /etc"); got != "x\n/d:\n\n/etc:\ngroup\nhostname\npasswd\n\n/usr/share:" {
				t.Errorf("the committed image: %q", got)
			}
			p.must("export", "-o", "out.tar", "one")
			p.must("rm", "one")
			p.must("rmi", "two", "bb")
			p.must("gc")
			if got := p.must("info", "--format", "json"); !strings.Contains(got, `"Rootless": true`) {
				t.Errorf("info: %s", got)
			}
		})
	}
}

// TestOrdinaryUserIDs checks who is who, inside and on disk.
func TestOrdinaryUserIDs(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	p.userImport("bb")
	volume := filepath.Join(p.dir, "volume")
	if err := os.Mkdir(volume, 0o777); err != nil || os.Chown(volume, int(p.who.Uid), int(p.who.Gid)) != nil {
		t.Fatal(err)
	}
	p.must("run", "--rm", "-v", volume+":/v", "bb", "sh", "-c", "touch /v/root /v/user; chown user:user /v/user; stat -c '%u:%g' /home/user")
	first := subordinateID(t, p)
	for name, want := range map[string]uint32{"root": p.who.Uid, "user": first + 999} {
		info, err := os.Stat(filepath.Join(volume, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("%s of the container is %d on the host, want %d", name, got, want)
		}
	}
	if got := p.must("unshare", "stat", "-c", "%u %n", "volume/root", "volume/user"); got != "0 volume/root\n1000 volume/user" {
		t.Errorf("unshare shows %q", got)
	}
	p.must("unshare", "rm", "-r", "volume")
	if got := p.must("run", "--rm", "-u", "user", "bb", "id"); !strings.HasPrefix(got, "uid=1000(user) gid=1000(user)") {
		t.Errorf("user: %q", got)
	}
	if message := p.fails(125, "run", "--rm", "-u", "70000", "bb", "id"); !strings.Contains(message, "70000") || !strings.Contains(message, "/etc/subuid") {
		t.Errorf("a user who is not there: %q", message)
	}
	if message := p.fails(125, "run", "--rm", "-u", "0:70000", "bb", "id"); !strings.Contains(message, "/etc/subgid") {
		t.Errorf("a group that is not there: %q", message)
	}
	outside := filepath.Join(p.dir, "outside.tar")
	writeArchive(t, outside, tar.Header{Name: "f", Typeflag: tar.TypeReg, Uid: 70000, Mode: 0o600})
	if message := p.fails(1, "import", outside, "outside"); !strings.Contains(message, "entry f: owner 70000:0") {
		t.Errorf("an owner who is not there: %q", message)
	}
}

// subordinateID is the first of the user's.
func subordinateID(t *testing.T, p *place) uint32 {
	t.Helper()
	for line := range strings.Lines(p.must("unshare", "cat", "/proc/self/uid_map")) {
		f := strings.Fields(line)
		first, err := strconv.ParseUint(f[1], 10, 32)
		if f[0] == "1" && err == nil {
			return uint32(first)
		}
	}
	t.Fatal("no subordinate id")
	return 0
}

// TestOrdinaryUserOneID checks what a user without subordinate ids is told.
func TestOrdinaryUserOneID(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, false)
	if message := p.failed(0, "import", p.try("import", os.Getenv(rootfsEnv)+".tar", "bb")); !strings.Contains(message, "/etc/subuid") || !strings.Contains(message, "usermod") {
		t.Errorf("import: %q", message)
	}
	if got := p.must("run", "--rm", "bb", "stat", "-c", "%u", "/home/user"); got != "0" {
		t.Errorf("the owner of a file of another is %q", got)
	}
	if message := p.fails(125, "run", "--rm", "-u", "user", "bb", "id"); !strings.Contains(message, "1000") {
		t.Errorf("another user: %q", message)
	}
	p.env = append(p.env, "PATH=/nowhere")
	if message := p.failed(0, "unshare", p.try("unshare", "/bin/true")); !strings.Contains(message, "newuidmap is not in PATH") {
		t.Errorf("without newuidmap: %q", message)
	}
}

// TestOrdinaryUserStores checks whose stores can be opened.
func TestOrdinaryUserStores(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	p.must("images")
	if data, err := os.ReadFile(p.root + "/format.json"); string(data) != `{"format":1,"marks":"user"}` {
		t.Errorf("format.json: %q, %v", data, err)
	}
	root := placeAt(t, p.dir, p.root)
	if message := root.fails(1, "images"); !strings.Contains(message, "not to user 0") {
		t.Errorf("root opens a user's store: %q", message)
	}
	// root's is not the user's
	root.root += "-of-root"
	root.env = append(root.env, "STRATA_ROOT="+root.root)
	root.must("images")
	if message := p.fails(1, "--root", root.root, "images"); !strings.Contains(message, root.root) || !strings.Contains(message, "--root") {
		t.Errorf("another's store: %q", message)
	}
	// root of a user namespace cannot read root's marks
	needs(t, "unshare")
	cmd := root.command()
	cmd = exec.Command("unshare", "--user", "--map-root-user", "--mount", cmd.Path, "images")
	cmd.Dir, cmd.Env = root.dir, root.env
	if message := root.failed(1, "images", root.finish(cmd)); !strings.Contains(message, "made by root of the host") {
		t.Errorf("root's store in a user namespace: %q", message)
	}
	// what is no store is not touched
	other := filepath.Join(p.dir, "other")
	if err := os.MkdirAll(filepath.Join(other, "file"), 0o700); err != nil || os.Chown(other, int(p.who.Uid), int(p.who.Gid)) != nil {
		t.Fatal(err)
	}
	p.fails(1, "--root", other, "images")
	if entries, _ := os.ReadDir(other); len(entries) != 1 {
		t.Errorf("in a directory that is no store there is now %v", entries)
	}
	// without a name for it the store is in the user's own directory
	p.root = filepath.Join(p.dir, "data/strata")
	p.env = append(p.env, "STRATA_ROOT=", "XDG_DATA_HOME="+p.dir+"/data")
	p.must("images")
	if info, err := os.Stat(p.root); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store: %v, %v", info, err)
	}
}

// TestOrdinaryUserDevices checks that devices in an image are left out.
func TestOrdinaryUserDevices(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	device := filepath.Join(p.dir, "device.tar")
	writeArchive(t, device, tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8, Mode: 0o600}, tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o644})
	if message := p.failed(0, "import", p.try("import", device, "device")); !strings.Contains(message, "1 devices") {
		t.Errorf("a device: %q", message)
	}
	p.must("create", "--name", "one", "device", "true")
	p.must("export", "-o", "out.tar", "one")
	out, err := exec.Command("tar", "-tf", filepath.Join(p.dir, "out.tar")).Output()
	if err != nil || strings.Contains(string(out), "sda") || !strings.Contains(string(out), "file") {
		t.Errorf("the image holds %q, %v", out, err)
	}
}

// TestOrdinaryUserMounts checks that mounts are for the inside of unshare.
func TestOrdinaryUserMounts(t *testing.T) {
	t.Parallel()
	p := newUserPlace(t, true)
	p.userImport("bb")
	for _, verb := range []string{"mount", "umount"} {
		if message := p.fails(1, verb, "bb"); !strings.Contains(message, "strata unshare") {
			t.Errorf("%s: %q", verb, message)
		}
	}
	strata := p.command().Path
	if got := p.must("unshare", "sh", "-c", strata+" mount bb >/dev/null; cat $("+strata+" mount bb)/etc/hostname; "+strata+" umount bb"); got != "image\nbb" {
		t.Errorf("inside: %q", got)
	}
	if r := p.try("unshare", "sh", "-c", "exit 7"); r.code != 7 || r.stderr != "" {
		t.Errorf("exit code: %+v", r)
	}
	p.failed(127, "unshare", p.try("unshare", "/no/such"))
	p.failed(126, "unshare", p.try("unshare", "/etc/passwd"))
	root := placeAt(t, p.dir, p.root)
	root.fails(125, "unshare", "true")
}

// writeArchive writes a tar archive of headers whose files hold their names.
func writeArchive(t *testing.T, path string, headers ...tar.Header) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Format = tar.FormatPAX
		var content string
		if h.Typeflag == tar.TypeReg {
			content = h.Name
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
