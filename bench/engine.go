// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An engine is podman or docker on a store of its own, started when first used.
type engine struct {
	name   string
	argv   []string // program and global options
	absent string   // why it cannot be used
	start  func() error
	daemon *exec.Cmd
	images map[string]bool
}

func newPodman(b *bench) *engine {
	e := &engine{name: "podman", images: map[string]bool{}}
	e.argv = []string{
		"podman", "--root", b.path("podman"), "--runroot", "/run/podman", "--tmpdir", "/run/podman-tmp",
		"--cgroup-manager", "cgroupfs", "--storage-driver", "overlay",
	}
	if !installed("podman") {
		e.absent = "not installed"
	}
	return e
}

func newDocker(b *bench) *engine {
	const socket = "unix:///run/docker-bench.sock"
	e := &engine{name: "docker", argv: []string{"docker", "--host", socket}, images: map[string]bool{}}
	if !installed("docker") || !installed("dockerd") {
		e.absent = "not installed"
	}
	e.start = func() error { return e.startDaemon(socket, b.path("docker"), b.path("dockerd.log")) }
	return e
}

// startDaemon starts a dockerd that changes nothing of the host's network.
func (e *engine) startDaemon(socket, root, log string) error {
	talk, err := os.Create(log)
	if err != nil {
		return err
	}
	defer talk.Close()
	e.daemon = exec.Command("dockerd", "--host", socket, "--data-root", root, "--exec-root", "/run/docker-bench",
		"--pidfile", "/run/docker-bench.pid", "--storage-driver", "overlay2", "--cgroup-parent", "/"+cgroup,
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	e.daemon.Stdout, e.daemon.Stderr = talk, talk
	if err := e.daemon.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err = e.output("version"); err == nil {
			return nil
		}
	}
	text, _ := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("start dockerd: %s", lines[len(lines)-1])
}

// stop ends the daemon; its containers have gone before.
func (e *engine) stop() error {
	if e.daemon == nil {
		return nil
	}
	e.daemon.Process.Signal(unix.SIGTERM)
	kill := time.AfterFunc(20*time.Second, func() { e.daemon.Process.Kill() })
	defer kill.Stop()
	e.daemon.Wait()
	e.daemon = nil
	return nil
}

// load makes an image of an archive, once, and returns why the engine cannot be
// used, if it cannot.
func (e *engine) load(archive, name string) string {
	if e.absent == "" && e.start != nil {
		if err := e.start(); err != nil {
			e.absent = firstLine(err.Error())
		}
		e.start = nil
	}
	if e.absent != "" || e.images[name] {
		return e.absent
	}
	if _, err := e.output("import", archive, name); err != nil {
		return firstLine(err.Error())
	}
	e.images[name] = true
	return ""
}

func (e *engine) command(args ...string) []string {
	return append(e.argv[:len(e.argv):len(e.argv)], args...)
}

func (e *engine) output(args ...string) (string, error) { return output(e.command(args...)...) }

// run is the command line of a new container without a network.
func (e *engine) run(args ...string) []string {
	options := []string{"run", "--network", "none"}
	if e.name == "podman" {
		options = append(options, "--cgroup-parent", "/"+cgroup)
	}
	return e.command(append(options, args...)...)
}

// remove is the command line that kills and removes a container, without the
// ten seconds that podman gives it to end.
func (e *engine) remove(name string) []string {
	if e.name == "podman" {
		return e.command("rm", "--force", "--time", "0", name)
	}
	return e.command("rm", "--force", name)
}
