// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/mount"
)

// The devices that every container has (runtime-spec, config-linux.md,
// "Default Devices"). They are bind mounts over files of a nodev filesystem, so
// that a device made with mknod inside cannot be opened, whatever the cgroup
// allows; and a user namespace needs it this way.
var devices = []struct {
	name         string
	major, minor uint32
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

// links of /dev (runtime-spec, runtime-linux.md, "Dev symbolic links").
var deviceLinks = [][2]string{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}, {"core", "/proc/kcore"},
}

// devSteps are /dev itself, its devices and its links.
func devSteps(m specs.Mount, o mountOptions) []step {
	return []step{
		detachedStep(m, o),
		{lines: shellDevices, prepare: (*preparation).devices},
		{lines: shellDeviceLinks, prepare: (*preparation).deviceLinks},
	}
}

func shellDevices() []Line {
	var names []string
	for _, d := range devices {
		names = append(names, d.name)
	}
	return []Line{{
		"for d in " + strings.Join(names, " ") + "; do : > dev/$d; mount --bind /dev/$d dev/$d; done",
		"the six harmless devices",
	}}
}

func shellDeviceLinks() []Line {
	var links []string
	for _, l := range deviceLinks {
		links = append(links, "ln -s "+l[1]+" dev/"+l[0])
	}
	return []Line{{strings.Join(links, "; "), "names that programs expect"}}
}

// last is the mount that was prepared last: of /dev, in the steps of that.
func (p *preparation) last() *os.File { return p.mounts[len(p.mounts)-1].root }

func (p *preparation) devices() error {
	for _, d := range devices {
		path := "/dev/" + d.name
		node, err := mount.Clone(path, false)
		if err != nil {
			return err
		}
		p.keep(node)
		// The host's name may be anything: CVE-2025-31133.
		st, err := linux.Fstat(int(node.Fd()))
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(d.major, d.minor) {
			return fmt.Errorf("mount %s: the host's is not character device %d:%d", path, d.major, d.minor)
		}
		fd, err := linux.OpenAt(int(p.last().Fd()), d.name, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY, 0o666)
		if err != nil {
			return &os.PathError{Op: "create", Path: path, Err: err}
		}
		p.attach(node, p.keep(os.NewFile(uintptr(fd), path)), path)
	}
	return nil
}

func (p *preparation) deviceLinks() error {
	for _, l := range deviceLinks {
		if err := unix.Symlinkat(l[1], int(p.last().Fd()), l[0]); err != nil {
			return &os.PathError{Op: "symlink", Path: "/dev/" + l[0], Err: err}
		}
	}
	return nil
}

// consoleStep opens a terminal in the sandbox's own devpts, which was prepared
// last, and puts it on /dev/console.
func consoleStep(process *specs.Process) step {
	return step{
		lines: line(": a terminal from dev/pts becomes standard input, output and error", "the host's terminal stays outside"),
		prepare: func(prep *preparation) error {
			if err := prep.openTerminal(prep.last(), process.ConsoleSize); err != nil {
				return fmt.Errorf("open a terminal: %w", err)
			}
			return prep.console()
		},
	}
}

// openTerminal makes a pair in the devpts instance pts. The child's side comes
// from the controlling side by TIOCGPTPEER and from no path.
func (p *preparation) openTerminal(pts *os.File, size *specs.Box) error {
	fd, err := linux.OpenAt(int(pts.Fd()), "ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	return p.pair(fd, size)
}

// pair makes the terminals of the open multiplexer fd.
func (p *preparation) pair(fd int, size *specs.Box) error {
	p.terminal = os.NewFile(uintptr(fd), "ptmx")
	var locked int32
	if err := ioctl(fd, unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&locked))); err != nil {
		return err
	}
	peer, err := ioctlInt(fd, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	p.tty = p.keep(os.NewFile(uintptr(peer), "tty"))
	if size != nil {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)})
	}
	return nil
}

// console is a bind mount made by path: dev and dev/pts are ours alone until
// the program runs.
func (p *preparation) console() error {
	number, err := unix.IoctlGetUint32(int(p.terminal.Fd()), unix.TIOCGPTN)
	if err != nil {
		return err
	}
	for _, m := range p.mounts {
		if m.path != "/dev" {
			continue
		}
		fd, err := linux.OpenAt(int(m.root.Fd()), "console", unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY, 0o620)
		if err != nil {
			return err
		}
		unix.Close(fd)
		source, target := p.list.String(fmt.Sprintf("dev/pts/%d", number)), p.list.String("dev/console")
		p.call("mount the terminal on /dev/console", unix.SYS_MOUNT, source, target, 0, unix.MS_BIND, 0)
	}
	return nil
}

func ioctl(fd int, request, arg uintptr) error {
	_, err := ioctlInt(fd, request, arg)
	return err
}

func ioctlInt(fd int, request, arg uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
