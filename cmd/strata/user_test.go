// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// asOrdinaryUser makes a user for the test and has p's commands run as him.
func asOrdinaryUser(t *testing.T, p *place) *syscall.Credential {
	t.Helper()
	needs(t, "useradd", "userdel")
	name := fmt.Sprintf("strata-test-%d", os.Getpid())
	if out, err := exec.Command("useradd", "--no-create-home", "--home-dir", p.dir, "--shell", "/bin/false", name).CombinedOutput(); err != nil {
		t.Skipf("no user can be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", name).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v: %s", err, out)
		}
	})
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for dir := p.dir; dir != os.TempDir(); dir = filepath.Dir(dir) { // on the way to his own
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// TestOrdinaryUser checks what a user without privilege can do: keep images, and
// be told what running needs.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	who := asOrdinaryUser(t, p)
	as := func(args ...string) result {
		cmd := p.command(args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		return p.finish(cmd)
	}
	if r := as("import", os.Getenv(rootfsEnv)+".tar", "bb"); r.code != 0 {
		t.Fatalf("import: %+v", r)
	}
	for _, c := range []string{"images", "ps -a", "df", "df -v", "info", "inspect bb", "history bb", "gc", "create --name con bb true", "rm con"} {
		if r := as(strings.Fields(c)...); r.code != 0 {
			t.Errorf("strata %s: %+v", c, r)
		}
	}
	for _, c := range []string{"run --rm bb true", "run bb true"} {
		message := p.failed(125, c, as(strings.Fields(c)...))
		if !strings.Contains(message, "root") {
			t.Errorf("strata %s does not say what to do: %q", c, message)
		}
	}
	p.failed(1, "mount", as("mount", "bb"))

	// devices are refused by name, and nothing is kept of the archive
	device := filepath.Join(p.dir, "device.tar")
	writeArchive(t, device, tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8, Mode: 0o600})
	message := p.failed(1, "import of a device", as("import", device, "device"))
	if !strings.Contains(message, "dev/sda") {
		t.Errorf("a device: %q", message)
	}

	// another's store, root's here, is not his
	p.root += "-of-root"
	p.env = append(p.env, "STRATA_ROOT="+p.root)
	p.must("images")
	message = p.failed(1, "images", as("images"))
	if !strings.Contains(message, p.root) {
		t.Errorf("another's store: %q", message)
	}

	// without a name for the store it is in his own directory
	p.root = filepath.Join(p.dir, "data/strata")
	p.env = append(p.env, "STRATA_ROOT=", "XDG_DATA_HOME="+p.dir+"/data")
	if r := as("images"); r.code != 0 {
		t.Errorf("images: %+v", r)
	}
	if info, err := os.Stat(p.root); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store: %v, %v", info, err)
	}
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
