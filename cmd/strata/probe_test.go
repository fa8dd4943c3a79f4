// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// probeRootfs makes a root filesystem with the probe, once more as a set-uid
// file, and a node of the host's disk.
func probeRootfs(t *testing.T, dir string) {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(os.Getenv(binEnv), "probe"))
	for _, sub := range []string{"bin", "dev", "proc", "sys", "tmp", "volume"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, name := range []string{"probe", "set-uid"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), program, 0o755))
	}
	err = errors.Join(err,
		os.Chmod(filepath.Join(dir, "set-uid"), 0o755|os.ModeSetuid),
		os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky),
		unix.Mknod(filepath.Join(dir, "image-node"), unix.S_IFBLK|0o666, int(disk())),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// disk is the number of a block device of the host.
func disk() uint64 {
	names, _ := filepath.Glob("/sys/class/block/*/dev")
	for _, name := range names {
		var major, minor uint32
		data, _ := os.ReadFile(name)
		if n, _ := fmt.Sscanf(string(data), "%d:%d", &major, &minor); n == 2 {
			return unix.Mkdev(major, minor)
		}
	}
	return unix.Mkdev(7, 0)
}

// bait is what of the host the probe looks for, as variables.
func bait(t *testing.T, p *place, who *syscall.Credential) []string {
	t.Helper()
	canary := filepath.Join(p.dir, "canary")
	if err := os.WriteFile(canary, []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "1000")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	info, err := os.Stat(canary)
	if err != nil {
		t.Fatal(err)
	}
	key := int(info.Sys().(*syscall.Stat_t).Ino & 0x7fffffff) // nobody else's
	sharedMemory(t, key)
	name, number := "strata-probe-"+strconv.Itoa(key), disk()
	return []string{
		"PROBE_CANARY=" + canary, "PROBE_HOST=" + p.dir, "PROBE_SOCKET=" + name, "PROBE_PORT=" + listen(t, name),
		"PROBE_PID=" + strconv.Itoa(sleeper.Process.Pid), "PROBE_SHM=" + strconv.Itoa(key),
		fmt.Sprintf("PROBE_DISK=%d:%d", unix.Major(number), unix.Minor(number)),
	}
}

// listen waits at an abstract socket, and at the port it returns.
func listen(t *testing.T, name string) string {
	t.Helper()
	unixListener, err := net.Listen("unix", "@"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unixListener.Close() })
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	return strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)
}

// sharedMemory makes a System V segment with this key.
func sharedMemory(t *testing.T, key int) {
	t.Helper()
	id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
}

// probed are the probe's lines.
func probed(t *testing.T, output string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(output) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if _, twice := found[name]; !ok || twice {
			t.Errorf("the probe wrote %q", line)
		}
		found[name] = value
	}
	return found
}

// compareProbe reports each line that differs from the table, is not in it, or is
// missing. Changed are lines that differ for the kind of container.
func compareProbe(t *testing.T, got map[string]string, userNamespace bool, changed map[string]string) {
	t.Helper()
	for _, e := range expectations {
		want := e.root
		if userNamespace && e.user != "" {
			want = e.user
		}
		if other, ok := changed[e.name]; ok {
			want = other
		}
		result, ran := got[e.name]
		delete(got, e.name)
		switch {
		case !ran:
			t.Errorf("%s: not tried", e.name)
		case !oneOf(result, want):
			t.Errorf("%s: %s, want %s", e.name, result, want)
		}
	}
	for name, result := range got {
		t.Errorf("%s: %s, and it is not in the table", name, result)
	}
}

func oneOf(result, alternatives string) bool {
	for a := range strings.SplitSeq(alternatives, "|") {
		if a == result && result != "" {
			return true
		}
	}
	return false
}

// probePlace is a place with the image "probe", and the arguments of a run in it
// before the image.
func probePlace(t *testing.T) (*place, []string) {
	t.Helper()
	needsContainers(t)
	p := newPlace(t)
	rootfs, volume := filepath.Join(p.dir, "rootfs"), filepath.Join(p.dir, "volume")
	probeRootfs(t, rootfs)
	if err := os.Mkdir(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	p.must("import", rootfs, "probe")
	args := []string{"run", "--rm", "-v", volume + ":/volume"}
	for _, v := range bait(t, p, nil) {
		args = append(args, "-e", v)
	}
	return p, args
}

func TestProbe(t *testing.T) {
	t.Parallel()
	p, args := probePlace(t)
	for _, c := range []struct {
		name    string
		options []string
		user    bool // in a user namespace
		changed map[string]string
	}{
		{"root of the host", []string{"--userns", "host"}, false, nil},
		{"init", []string{"--userns", "host", "--init"}, false, map[string]string{"processes": "1 2"}},
		{"stdin", []string{"--userns", "host", "-i"}, false, nil},
		{"ids of its own", []string{"--userns", "auto"}, true, nil},
		{"ids of its own, init", []string{"--userns", "auto", "--init"}, true, map[string]string{"processes": "1 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if maps, err := mapsLayers(); err != nil || c.user && !maps {
				t.Skipf("the kernel cannot stack layers with mapped ids (%v)", err)
			}
			p := placeAt(t, p.dir, p.root)
			out := p.must(append(append(args, c.options...), "probe", "/probe")...)
			compareProbe(t, probed(t, out), c.user, c.changed)
		})
	}
}

// TestTerminalInjection runs the probe where standard input is a terminal: the
// caller's, which is the controlling terminal of the caller's session, or one of
// the container's own, whose input nobody outside reads.
func TestTerminalInjection(t *testing.T) {
	t.Parallel()
	p, args := probePlace(t)
	for _, c := range []struct {
		name    string
		options []string
		changed map[string]string
	}{
		{"the caller's", []string{"--userns", "host", "-i"}, map[string]string{
			"TIOCSTI": "EPERM|EIO", "TIOCLINUX": "ENOTTY|EINVAL", "TIOCSCTTY": "EPERM", "TIOCCONS": "EPERM",
		}},
		{"its own", []string{"--userns", "host", "-it"}, map[string]string{
			"TIOCSTI": "ok|EIO", "TIOCLINUX": "ENOTTY|EINVAL", "TIOCSCTTY": "ok", "TIOCCONS": "EPERM",
			"/dev": "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := placeAt(t, p.dir, p.root)
			term := newTerminal(t, 24, 80)
			run := term.run(p, append(append(args, c.options...), "probe", "/probe")...)
			term.await(`^statx\t.*\n`)
			ends(t, run, 0)
			shown := strings.TrimPrefix(term.shown.String(), "x") // the character that was injected is echoed
			compareProbe(t, probed(t, shown), false, c.changed)
		})
	}
}
