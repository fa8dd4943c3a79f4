// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// exec measures one command in a container that runs already.
func (b *bench) exec() (err error) {
	podman, docker := b.podman.load(b.archive, image), b.docker.load(b.archive, image)
	crun, err := b.newBundle("exec", sleeping)
	if err != nil {
		return err
	}
	if err := crun.mount(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, crun.discard()) }()
	crunCommand := func(args ...string) []string { return append([]string{"crun", "--root", "/run/crun-exec"}, args...) }
	inBundle := crunCommand("run", "--bundle", crun.dir, "bench-exec")
	contenders := []contender{{name: emptyName, run: b.fresh(b.bin + "/empty")}}
	for _, p := range []struct {
		name, absent string
		run, exec    []string
	}{
		{strataName, "", b.strataCommand(append([]string{"run", "--rm", "--network", "none", "--name", "bench-exec", image}, sleeping...)...), b.strataCommand("exec", "bench-exec", "/bin/true")},
		{"crun", absence("crun"), inBundle, crunCommand("exec", "bench-exec", "/bin/true")},
		{"podman", podman, b.podman.run(append([]string{"--rm", "--name", "bench-exec", image}, sleeping...)...), b.podman.command("exec", "bench-exec", "/bin/true")},
		{"docker", docker, b.docker.run(append([]string{"--rm", "--name", "bench-exec", image}, sleeping...)...), b.docker.command("exec", "bench-exec", "/bin/true")},
	} {
		c := contender{name: p.name, absent: p.absent, run: b.fresh(p.exec...)}
		if p.absent == "" {
			end, err := hold(p.run, p.exec)
			if err != nil {
				return err
			}
			defer end()
		}
		contenders = append(contenders, c)
	}
	results, err := measure(b.rounds(200), contenders, nil)
	if err != nil {
		return err
	}
	targets := map[string]time.Duration{strataName: 2500 * time.Microsecond}
	if absence("crun") == "" {
		targets[strataName] = min(targets[strataName], find(results, "crun").times.median()/5)
	}
	table{
		title: "exec: /bin/true in a running container, from start to exit", results: results,
		floor: find(results, emptyName).times.median(), targets: targets,
		comment: "Everybody is a fresh process each time; docker's has a daemon behind it.",
	}.print()
	return nil
}

// sleeping is what a container does that commands are run in.
var sleeping = []string{"/bin/sleep", "100000"}

func absence(program string) string {
	if installed(program) {
		return ""
	}
	return "not installed"
}

// hold starts a container and waits until a command can be run in it. What it
// returns ends the program that has the container; what is left ends with the
// bench.
func hold(run, probe []string) (end func(), err error) {
	cmd := exec.Command(run[0], run[1:]...)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = output(probe...); err == nil {
			return end, nil
		}
	}
	end()
	return nil, fmt.Errorf("no command can be run in a container: %w", err)
}
