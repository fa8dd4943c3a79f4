// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What the tests call, and /init. busybox stands in for the rest, and for what
// this machine does not have.
const programs = `
	bash busybox cat chgrp chmod chown cmp cp cut date dd df diff dirname du env find getent getfattr gzip grep head id
	install ln ls mkdir mkfifo mknod mktemp mv od readlink rm rmdir sed seq sh sha256sum sleep sort stat stty
	sync tail tar tee touch tr true truncate tty uname wc which xargs xz zstd nproc
	findmnt ip ldd losetup lsns mount nsenter prlimit runuser script setpriv umount unshare
	getcap setcap setfattr getsubids newgidmap newuidmap useradd userdel usermod groupadd
	mkfs.ext4
`

// settings are files and directories of this machine that those programs read.
var settings = []string{
	"/etc/login.defs", "/etc/default/useradd", "/etc/nsswitch.conf", "/etc/mke2fs.conf", "/etc/pam.d", "/etc/security",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d",
}

// modules of the kernel, in the order in which they are loaded; below
// lib/modules/VERSION/kernel.
var modules = []string{"fs/overlayfs/overlay.ko", "drivers/block/loop.ko", "drivers/net/tun.ko"}

//go:embed init
var initScript string

var nothing io.Reader = strings.NewReader("")

func readString(s string) io.Reader { return strings.NewReader(s) }

// writeRoot writes the virtual machine's first root filesystem: programs of this
// machine with their libraries, and what was built.
func writeRoot(w io.Writer, k kernel, b built, suites []suite) error {
	a := newArchive(w)
	skeleton(a)
	for name := range strings.FieldsSeq(programs) {
		a.program(name)
	}
	a.applets()
	for _, name := range settings {
		a.tree(name[1:], name)
	}
	for _, plugin := range plugins() {
		a.library(plugin)
	}
	for i, name := range modules {
		a.file("strata/modules/"+string(rune('0'+i))+"-"+path.Base(name), filepath.Join(k.modules, name))
	}
	a.tree("strata/test", b.tests)
	a.tree("usr/bin", b.programs)
	a.sources(suites)
	return a.close()
}

// skeleton is Debian's order of directories and the users.
func skeleton(a *archive) {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		a.dir("usr/" + dir)
		a.link(dir, "usr/"+dir)
	}
	for _, dir := range []string{"dev", "etc", "home", "mnt", "proc", "root", "run", "srv", "sys", "var"} {
		a.dir(dir)
	}
	a.link("var/run", "/run")
	a.device("dev/console", 5, 1)
	for _, dir := range []string{"tmp", "var/tmp"} {
		a.entry(dir, unix.S_IFDIR|unix.S_ISVTX|0o777, 0, 0, nothing)
	}
	a.text("init", 0o755, initScript)
	a.text("etc/hostname", 0o644, "vm\n")
	a.text("etc/hosts", 0o644, "127.0.0.1 localhost vm\n")
	a.text("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
	a.text("etc/group", 0o644, "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n")
	a.text("etc/shadow", 0o600, "root:*:1:0:99999:7:::\nuser:*:1:0:99999:7:::\n")
	a.text("etc/gshadow", 0o600, "root:*::\nuser:*::\n")
	a.text("etc/subuid", 0o644, "user:100000:65536\n")
	a.text("etc/subgid", 0o644, "user:100000:65536\n")
}

// program adds a program at its own path with the libraries it is linked to. One
// that is not here is left out: the test that needs it says so.
func (a *archive) program(name string) {
	found, err := exec.LookPath(name)
	if err != nil {
		return
	}
	a.library(found)
}

// applets lets busybox be what no program is there for.
func (a *archive) applets() {
	list, err := exec.Command("busybox", "--list-full").Output()
	if err != nil {
		a.err = errors.Join(a.err, fmt.Errorf("busybox --list-full: %w", err))
		return
	}
	for name := range strings.FieldsSeq(string(list)) {
		_, err := exec.LookPath(path.Base(name))
		if err != nil || !slices.Contains(strings.Fields(programs), path.Base(name)) {
			a.link(merged(name), "/usr/bin/busybox")
		}
	}
}

// library adds a file and what ldd(1) says it is linked to.
func (a *archive) library(name string) {
	a.file(merged(name), name)
	libraries, err := exec.Command("ldd", name).Output()
	if err != nil {
		return // static, or a script
	}
	for word := range strings.FieldsSeq(string(libraries)) {
		if path.IsAbs(word) {
			a.file(merged(word), word)
		}
	}
}

// merged is where a file is when /bin and the like are links into /usr.
func merged(name string) string {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if strings.HasPrefix(name, "usr/") {
		return name
	}
	return "usr/" + name
}

// plugins are the libraries that PAM loads by name; useradd and runuser ask it.
func plugins() (found []string) {
	for _, dir := range []string{"/usr/lib/*/security/*.so", "/lib/*/security/*.so"} {
		some, _ := filepath.Glob(dir) // the pattern is valid
		found = append(found, some...)
	}
	return found
}

// data adds the files of a package that are no code.
func (a *archive) data(name, from string) {
	a.dir(name)
	entries, err := os.ReadDir(from)
	a.err = errors.Join(a.err, err)
	for _, e := range entries {
		if e.Type().IsRegular() && path.Ext(e.Name()) != ".go" {
			a.file(path.Join(name, e.Name()), filepath.Join(from, e.Name()))
		}
	}
}

// sources are the files that tests read, where they look for them.
func (a *archive) sources(suites []suite) {
	var list strings.Builder
	for _, s := range suites {
		a.data("strata/"+s.dir, s.dir)
		a.tree("strata/"+s.dir+"/testdata", filepath.Join(s.dir, "testdata"))
		list.WriteString(s.line() + "\n")
	}
	a.text("strata/tests", 0o644, list.String())
	for _, name := range []string{"README.md", "demo.sh"} {
		if _, err := os.Stat(name); err == nil {
			a.file("strata/"+name, name)
		}
	}
}
