// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The bench runs in three processes: outside installs and cleans up; init is
// process 1 of a pid namespace and reaps orphans; inside measures.
const (
	roleInit   = "bench-init"
	roleInside = "bench-inside"
)

// outside makes the bench's namespaces, waits for the end of all in them, and
// removes what they left.
func outside(dir string, names []string) (err error) {
	if dir == "" || os.Geteuid() != 0 {
		return errors.New("run it as root, by bench/run")
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	for _, hidden := range hidden {
		if strings.HasPrefix(dir+"/", hidden+"/") {
			return fmt.Errorf("BENCH_DIR %s: it cannot be below %s, which the bench hides from its peers", dir, hidden)
		}
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	install()
	if err := makeArchive(filepath.Join(dir, "debian.tar")); err != nil {
		return err
	}
	run := filepath.Join(dir, "run")
	if err := removeRun(run); err != nil { // of a bench that was killed
		return err
	}
	if err := os.Mkdir(run, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeRun(run)) }()
	return isolated(append([]string{roleInit, run}, names...))
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: another bench uses it: %w", dir, err)
	}
	return f, nil
}

// removeRun removes all files and cgroups of a run. Its processes and mounts
// have gone with its namespaces.
func removeRun(run string) error {
	groups, _ := filepath.Glob("/sys/fs/cgroup/" + cgroup)
	older, _ := filepath.Glob("/sys/fs/cgroup/*/" + cgroup)
	for _, root := range append(groups, older...) {
		var all []string
		filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for i := len(all) - 1; i >= 0; i-- {
			unix.Rmdir(all[i])
		}
	}
	return os.RemoveAll(run)
}

// cgroup is above those of every peer.
const cgroup = "strata-bench"

// isolated runs this program in namespaces that end with it, and it with us.
func isolated(args []string) error {
	runtime.LockOSThread() // Pdeathsig is about the thread
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-signals:
			cmd.Process.Kill() // and with process 1 all others
		case err := <-ended:
			return err
		}
	}
}

// initMain starts the bench proper and reaps what comes to process 1.
func initMain(args []string) error {
	if err := mountProc(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(self, append([]string{self, roleInside}, args...), &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case pid == child.Pid && status.ExitStatus() != 0:
			return errors.New("stopped")
		case pid == child.Pid:
			return nil
		}
	}
}

func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}

// hidden are the host's directories that peers write to whatever they are told.
var hidden = []string{"/etc", "/var/lib"}

// hideHost gives the peers a /run, a /dev/shm and copies of hidden of their
// own, and takes away an empty cgroup v2 beside v1, which crun 1.8 and podman
// 4.3 refuse.
func hideHost() error {
	unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH)
	for _, path := range []string{"/run", "/dev/shm"} {
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", path, err)
		}
	}
	for i, path := range hidden {
		upper, work := "/run/hidden/"+strconv.Itoa(i)+"/upper", "/run/hidden/"+strconv.Itoa(i)+"/work"
		if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
			return err
		}
		if err := mountOverlay(path, upper, work, path); err != nil {
			return err
		}
	}
	return os.Setenv("HOME", "/run")
}

// mountOverlay mounts an overlay as strata mounts those of --rm containers.
func mountOverlay(lower, upper, work, target string) error {
	options := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work + ",volatile"
	if err := unix.Mount("overlay", target, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay on %s (%s): %w", target, options, err)
	}
	return nil
}
