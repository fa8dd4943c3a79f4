// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/mount"
	"strata/internal/spawn"
)

// rootfs makes a directory with a static busybox and what an image would have.
func rootfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"bin", "proc", "sys", "dev", "etc", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("busybox-static is needed (make test installs it): %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "cat", "ls", "mount", "umount", "readlink", "stat", "hostname", "grep", "id", "mknod", "sleep", "tty", "env", "wc", "ionice", "uname", "cut", "head"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newSpec is a specification as a container would have it, running a script.
func newSpec(script string) *specs.Spec {
	caps := []string{"CAP_CHOWN", "CAP_MKNOD", "CAP_SETUID"}
	return &specs.Spec{
		Hostname: "inside",
		Process: &specs.Process{
			Args: []string{"sh", "-c", script}, Env: []string{"PATH=/sbin:/bin"}, Cwd: "/",
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
			NoNewPrivileges: true,
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=755"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{
			Namespaces:    []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "uts"}, {Type: "ipc"}, {Type: "cgroup"}, {Type: "network"}},
			MaskedPaths:   []string{"/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/absent"},
			ReadonlyPaths: []string{"/proc/sys"},
		},
	}
}

// run starts spec over dir and returns what it wrote and how it ended.
func run(t *testing.T, dir string, spec *specs.Spec, change func(*Options)) (string, int, error) {
	t.Helper()
	root, err := mount.Clone(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	options := Options{Stdout: w, Stderr: w}
	if change != nil {
		change(&options)
	}
	plan, err := NewPlan(spec, options)
	if err != nil {
		w.Close()
		return "", 0, err
	}
	child, err := Begin(spec)
	if err != nil {
		w.Close()
		return "", 0, err
	}
	p, err := plan.Start(child, root)
	w.Close()
	if err != nil {
		return "", 0, err
	}
	defer p.Pidfd.Close()
	var from io.Reader = r
	if p.Terminal != nil {
		defer p.Terminal.Close()
		from = p.Terminal
	}
	text, err := io.ReadAll(from)
	if err != nil && !errors.Is(err, unix.EIO) { // a terminal whose last user has gone
		t.Fatal(err)
	}
	status, err := p.Wait()
	if p.Cgroup != nil {
		err = errors.Join(err, p.Cgroup.Remove())
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), status.ExitStatus(), nil
}

func TestInside(t *testing.T) {
	dir := rootfs(t)
	cases := []struct{ name, script, want string }{
		{"process 1", "echo $$", "1"},
		{"hostname", "hostname", "inside"},
		{"loopback is up", "grep -c . /sys/class/net/lo/address; cat /sys/class/net/lo/operstate; ls /sys/class/net", "1\nunknown\nlo"},
		{"no way out", "ls /..", "bin\ndev\netc\nproc\nsys\ntmp"},
		{"only these mounts", "grep -vc ' /' /proc/mounts; grep -c 'overlay\\|ext4' /proc/mounts", "0\n7"},
		{"devices", "ls /dev", "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nstderr\nstdin\nstdout\ntty\nurandom\nzero"},
		{"null works", "echo x >/dev/null && echo ok", "ok"},
		{"a device made inside cannot be opened", "mknod /dev/x c 1 3 && cat /dev/x 2>&1", "cat: can't open '/dev/x': Permission denied"},
		{"descriptors", "ls /proc/self/fd | wc -l", "4"}, // 0 to 2 and the directory itself
		{"capabilities", "grep -E 'Cap(Inh|Prm|Bnd|Amb)|NoNewPrivs' /proc/self/status",
			"CapInh:\t0000000000000000\nCapPrm:\t0000000008000081\nCapBnd:\t0000000008000081\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1"},
		{"masked file", "cat /proc/timer_list | wc -c", "0"},
		{"masked directory", "ls /sys/firmware; ls /proc/acpi", ""},
		{"protected", "echo x 2>&1 >/proc/sys/kernel/hostname", "sh: can't create /proc/sys/kernel/hostname: Read-only file system"},
		{"session of its own", "echo x 2>&1 >/dev/tty", "sh: can't create /dev/tty: No such device or address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := run(t, dir, newSpec(c.script), nil)
			if c.name == "only these mounts" { // the backing filesystem's name is the machine's
				got = strings.SplitN(got, "\n", 2)[0] + "\n7"
			}
			if err != nil || got != c.want {
				t.Errorf("got %q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

// What our caller ignores, as nohup(1) does, is nothing to the program.
func TestSignalsAreDefault(t *testing.T) {
	signal.Ignore(unix.SIGHUP)
	defer signal.Reset(unix.SIGHUP)
	spec := newSpec("")
	spec.Process.Args = []string{"grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"}
	got, _, err := run(t, rootfs(t), spec, nil)
	if want := "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestExit(t *testing.T) {
	dir := rootfs(t)
	for _, withInit := range []bool{false, true} {
		_, code, err := run(t, dir, newSpec("exit 5"), func(o *Options) { o.Init = withInit })
		if err != nil || code != 5 {
			t.Errorf("init %v: exit code %d, %v; want 5", withInit, code, err)
		}
	}
}

// Process 2 may run before process 1 is init: all that it can read then is
// nothing, and at last the init.
func TestInitIsNotOurBinary(t *testing.T) {
	got, _, err := run(t, rootfs(t), newSpec("until readlink /proc/1/exe; do :; done; echo $$"), func(o *Options) { o.Init = true })
	if want := "/memfd:init (deleted)\n2"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestTerminal(t *testing.T) {
	spec := newSpec("tty; test -t 0 && test -t 1 && test -t 2 && echo all; echo hi >/dev/tty; ls -l /dev/console | wc -l")
	spec.Process.Terminal = true
	got, _, err := run(t, rootfs(t), spec, nil)
	if want := "/dev/pts/0\nall\nhi\n1"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestUser(t *testing.T) {
	spec := newSpec("id; grep CapEff /proc/self/status")
	spec.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7}}
	spec.Process.Capabilities.Effective, spec.Process.Capabilities.Permitted = nil, nil
	got, _, err := run(t, rootfs(t), spec, nil)
	if want := "uid=1000 gid=1001 groups=7\nCapEff:\t0000000000000000"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestReadonlyRoot(t *testing.T) {
	spec := newSpec("echo x 2>&1 >/etc/x; echo y >/dev/shm/y && echo ok")
	spec.Root = &specs.Root{Readonly: true}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm"})
	got, _, err := run(t, rootfs(t), spec, nil)
	if want := "sh: can't create /etc/x: Read-only file system\nok"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestBindMounts(t *testing.T) {
	dir, host := rootfs(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "f"), []byte("from the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := newSpec("cat /data/sub/f /etc/one; echo x 2>&1 >/data/sub/new; echo y >/data/inner/y; ls /data")
	spec.Mounts = append(spec.Mounts,
		specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs"},
		specs.Mount{Destination: "/data/sub", Source: host, Options: []string{"rbind", "ro"}},
		specs.Mount{Destination: "/data/inner", Source: host, Options: []string{"rbind"}},
		specs.Mount{Destination: "/etc/one", Source: filepath.Join(host, "f"), Options: []string{"bind"}},
	)
	got, _, err := run(t, dir, spec, nil)
	if want := "from the host\nfrom the host\nsh: can't create /data/sub/new: Read-only file system\ninner\nsub"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := os.Stat(filepath.Join(host, "y")); err != nil {
		t.Errorf("a write through the bind mount: %v", err)
	}
}

// A hostile image has links where mounts go: they are followed inside the
// rootfs, or refused, and nothing is made or mounted on the host.
func TestLinksAtTargets(t *testing.T) {
	outside := t.TempDir()
	cases := map[string]struct {
		link, to string
		mount    specs.Mount
		want     string // in the error; empty: it works, beneath the root
	}{
		"tmpfs through an absolute link": {"tmp/l", outside, specs.Mount{Destination: "/tmp/l/made", Type: "tmpfs"}, ""},
		"out by dots":                    {"tmp/l", "../../../../..", specs.Mount{Destination: "/tmp/l/made", Type: "tmpfs"}, ""},
		"a magic link":                   {"tmp/l", "/proc/self/cwd", specs.Mount{Destination: "/tmp/l/made", Type: "tmpfs"}, "nothing"},
		"a link that leads nowhere":      {"tmp/l", "../made/by/link", specs.Mount{Destination: "/tmp/l/deeper", Type: "tmpfs"}, ""},
		"beneath another mount":          {"tmp/l", "/dev", specs.Mount{Destination: "/tmp/l/made", Type: "tmpfs"}, "is mounted over"},
		"into /proc":                     {"tmp/l", "/proc", specs.Mount{Destination: "/tmp/l/made", Type: "tmpfs"}, "nothing"},
		"proc itself":                    {"proc", outside, specs.Mount{}, "it is a symbolic link in the image"},
		"dev itself":                     {"dev", outside, specs.Mount{}, "it is a symbolic link in the image"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := rootfs(t)
			os.Remove(filepath.Join(dir, c.link))
			if err := os.Symlink(c.to, filepath.Join(dir, c.link)); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, outside), 0o755); err != nil { // the name leads somewhere inside, too
				t.Fatal(err)
			}
			spec := newSpec("echo ran")
			if c.mount.Type != "" {
				spec.Mounts = append(spec.Mounts, c.mount)
			}
			got, _, err := run(t, dir, spec, nil)
			if c.want == "" && (err != nil || got != "ran") {
				t.Errorf("got %q, %v; want it to run", got, err)
			}
			if c.want == "nothing" && err == nil {
				t.Errorf("a mount beneath /proc was accepted")
			}
			if c.want != "" && c.want != "nothing" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %q, %v; want error with %q", got, err, c.want)
			}
			if left, _ := os.ReadDir(outside); len(left) > 0 {
				t.Errorf("made %s on the host", left[0].Name())
			}
		})
	}
}

func TestProgramErrors(t *testing.T) {
	dir := rootfs(t)
	for args, want := range map[string]unix.Errno{"/no/such": unix.ENOENT, "nosuch": unix.ENOENT, "/etc": unix.EACCES} {
		spec := newSpec("")
		spec.Process.Args = []string{args}
		_, _, err := run(t, dir, spec, nil)
		var failed *spawn.Error
		if !errors.As(err, &failed) || !failed.Exec || failed.Errno != want {
			t.Errorf("%s: got %v, want %v", args, err, want)
		}
	}
}

func TestUnsupportedFieldsAreNamed(t *testing.T) {
	for want, change := range map[string]func(*specs.Spec){
		"linux.resources": func(s *specs.Spec) { s.Linux.Resources = &specs.LinuxResources{} },
		"hooks":           func(s *specs.Spec) { s.Hooks = &specs.Hooks{} },
		"linux.namespaces user": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		},
		"mounts: destination": func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "x/y", Type: "tmpfs"}) },
		"mounts: cgroup on":   func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "cgroup"}) },
		"/proc/x":             func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "/proc/x", Type: "tmpfs"}) },
		"readonlyPaths: /etc": func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/etc"} },
		"NUL":                 func(s *specs.Spec) { s.Process.Args = []string{"a\x00b"} },
		"process.args":        func(s *specs.Spec) { s.Process.Args = nil },
	} {
		spec := newSpec("true")
		change(spec)
		_, err := NewPlan(spec, Options{})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an UnsupportedError with %q", err, want)
		}
	}
}

// Explain's script, run by a shell, shows the program the same as the plan does.
func TestExplainDoesTheSame(t *testing.T) {
	const script = "hostname; ls /dev; grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status; cat /proc/mounts | wc -l; id -u; env"
	dir := rootfs(t)
	for _, tool := range []string{"setpriv"} { // what the script runs after pivot_root
		copyProgram(t, tool, dir)
	}
	want, _, err := run(t, dir, newSpec(script), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(newSpec(script), Options{RootShell: []Line{
		{"root=" + Quote(dir), "the root"}, {`mount --bind "$root" "$root"`, "a mount point"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := plan.Explain(&text); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", text.String())
	got, err := cmd.CombinedOutput()
	if diff := cmp.Diff(want, strings.TrimSpace(string(got))); diff != "" || err != nil {
		t.Errorf("the script differs from the plan (-plan +script), %v:\n%s\n%s", err, diff, text.String())
	}
}

// copyProgram puts a dynamic program of the host and its libraries into dir.
func copyProgram(t *testing.T, name, dir string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := []string{path}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(path, filepath.Join(dir, "bin", name))
}
