// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
)

// containerFlags are the flags that run and create share, with Docker's names
// and meanings.
type containerFlags struct {
	name, workdir, user, hostname, entrypoint, network, rootfs, userns string
	env, envFiles, labels, volumes, mounts, tmpfs                      []string
	interactive, tty, remove, readOnly, init                           bool
	detach                                                             bool
	walls                                                              isolationFlags
	limits                                                             resourceFlags
	pull                                                               pullPolicy
}

func (f *containerFlags) bind(fs *cli.FlagSet) {
	fs.ArgumentsEnd = true // what follows the image is the command's own
	f.network = "none"
	fs.StringVar(&f.name, "name", "", "NAME", "name of the container")
	fs.StringsVar(&f.env, "env", "e", "NAME=VALUE", "set a variable: NAME=VALUE, or NAME to pass on our own")
	fs.StringsVar(&f.envFiles, "env-file", "", "FILE", "read variables from a file")
	fs.StringsVar(&f.labels, "label", "l", "NAME=VALUE", "set a label: NAME=VALUE")
	fs.StringVar(&f.workdir, "workdir", "w", "DIR", "directory in which the command starts")
	fs.StringVar(&f.user, "user", "u", "USER", "user of the command: name or uid, and :group")
	fs.StringVar(&f.hostname, "hostname", "h", "NAME", "hostname (default: the beginning of the ID)")
	fs.BoolVar(&f.readOnly, "read-only", "", "mount the root filesystem read-only")
	fs.StringsVar(&f.volumes, "volume", "v", "SOURCE:TARGET", "show a host path inside: SOURCE:TARGET[:ro]")
	fs.StringsVar(&f.mounts, "mount", "", "MOUNT", "type=bind,source=PATH,target=PATH[,readonly] or type=tmpfs,target=PATH")
	fs.StringsVar(&f.tmpfs, "tmpfs", "", "TARGET", "mount a tmpfs: TARGET[:OPTIONS]")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "COMMAND", "replace the image's entrypoint")
	fs.StringVar(&f.network, "network", "", "NETWORK", "network: none, host or container:NAME")
	f.walls.bind(fs)
	f.limits.bind(fs)
	f.limits.bindPlace(fs)
	f.pull.bind(fs)
	fs.StringVar(&f.userns, "userns", "", "MODE", "user namespace: auto for a range of ids of its own, or host")
	fs.StringVar(&f.rootfs, "rootfs", "", "DIR", "use this directory, never written, in place of an image")
	fs.BoolVar(&f.interactive, "interactive", "i", "pass standard input on")
	fs.BoolVar(&f.tty, "tty", "t", "give the command a terminal")
	fs.BoolVar(&f.init, "init", "", "run a small process 1 that reaps orphans and forwards signals")
	fs.BoolVar(&f.remove, "rm", "", "remove the container when it ends")
	fs.BoolVar(&f.detach, "detach", "d", "run in the background (not supported yet)")
	fs.Hide("detach")
}

// options turns the flags and what follows them into what the engine takes.
func (f *containerFlags) options(fs *cli.FlagSet, args []string) (o engine.CreateOptions, err error) {
	if f.detach {
		return o, errors.New("--detach is not supported yet: containers run in the foreground")
	}
	if container.Joined(f.network) == "" && f.network != "none" && f.network != "host" {
		return o, fmt.Errorf("--network %s: only none, host and container:NAME are supported yet", f.network)
	}
	if err := f.pull.check(); err != nil {
		return o, err
	}
	if f.rootfs == "" {
		if len(args) == 0 {
			return o, errors.New("no image given: name one after the options, for example mini")
		}
		o.Image, args = args[0], args[1:]
	}
	o.Command, o.Rootfs, o.Name, o.User, o.WorkDir, o.AutoRemove = args, f.rootfs, f.name, f.user, f.workdir, f.remove
	if fs.Changed("entrypoint") {
		o.Entrypoint = &f.entrypoint
	}
	if o.Env, err = readEnvironment(f.envFiles, f.env); err != nil {
		return o, err
	}
	if o.Labels, err = parseLabels(f.labels); err != nil {
		return o, err
	}
	o.Host = container.Host{
		Hostname: f.hostname, Network: f.network, Terminal: f.tty, OpenStdin: f.interactive,
		ReadOnly: f.readOnly, Init: f.init,
	}
	if o.Host.UserNS, err = f.userNamespace(); err != nil {
		return o, err
	}
	if o.Host.Isolation, err = f.walls.isolation(&o.Host, f.hostname); err != nil {
		return o, err
	}
	if shared := o.Host.HostIDs(); shared != "" && o.Host.UserNS == container.UserNSAuto {
		return o, fmt.Errorf("--userns auto and %s: root of a user namespace has no say there; use --userns host", shared)
	}
	if err = f.limits.apply(&o.Host); err != nil {
		return o, err
	}
	if len(f.hostname) > 64 {
		return o, fmt.Errorf("--hostname: %d bytes, the kernel takes 64", len(f.hostname))
	}
	o.Host.Mounts, err = f.mountList()
	return o, err
}

// readEnvironment is the files' variables with those of the flags over them.
func readEnvironment(files, flags []string) ([]string, error) {
	var env []string
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if line := strings.TrimLeft(lines.Text(), " \t"); line != "" && line[0] != '#' {
				env = append(env, line)
			}
		}
		file.Close()
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("--env-file %s: %w", path, err)
		}
	}
	return resolveVariables(append(env, flags...))
}

// resolveVariables gives names without a value our own value, and leaves out
// those that we do not have.
func resolveVariables(env []string) ([]string, error) {
	var resolved []string
	for _, v := range env {
		name, _, hasValue := strings.Cut(v, "=")
		if name == "" || strings.ContainsAny(name, " \t\x00") {
			return nil, fmt.Errorf("--env %q: it is not NAME=VALUE", v)
		}
		if hasValue {
			resolved = append(resolved, v)
		} else if value, ok := os.LookupEnv(name); ok {
			resolved = append(resolved, name+"="+value)
		}
	}
	return resolved, nil
}

func parseLabels(labels []string) (map[string]string, error) {
	parsed := map[string]string{}
	for _, l := range labels {
		name, value, _ := strings.Cut(l, "=")
		if name == "" {
			return nil, fmt.Errorf("--label %q: it has no name", l)
		}
		parsed[name] = value
	}
	return parsed, nil
}
