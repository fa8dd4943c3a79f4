// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"strata/internal/container"
)

// modes reads --pid, --ipc and --uts, and refuses what does not go together.
func (f *isolationFlags) modes(i *container.Isolation, host *container.Host, hostname string) (err error) {
	for _, m := range []struct {
		flag, value string
		to          *string
		words       []string
	}{
		{"--pid", f.pid, &i.PidMode, []string{"private", "host", "container:NAME"}},
		{"--ipc", f.ipc, &i.IpcMode, []string{"private", "shareable", "none", "host", "container:NAME"}},
		{"--uts", f.uts, &i.UTSMode, []string{"private", "host"}},
	} {
		if *m.to, err = parseMode(m.value, m.words); err != nil {
			return fmt.Errorf("%s %s: %w", m.flag, m.value, err)
		}
	}
	switch {
	case i.PidMode != "" && host.Init:
		return errors.New("--init and --pid " + f.pid + ": the first process of that namespace is another one")
	case hostname != "" && i.UTSMode != "":
		return errors.New("--hostname and --uts host: the name would be the host's")
	case i.Domainname != "" && i.UTSMode != "":
		return errors.New("--domainname and --uts host: the name would be the host's")
	case hostname != "" && container.Joined(host.Network) != "":
		return errors.New("--hostname and --network container: the name is that container's")
	case i.ShmSize > 0 && (i.IpcMode == "none" || i.IpcMode == "host" || container.Joined(i.IpcMode) != ""):
		return errors.New("--shm-size and --ipc " + f.ipc + ": there is no /dev/shm of its own")
	case len(i.Domainname) > 64:
		return fmt.Errorf("--domainname: %d bytes, the kernel takes 64", len(i.Domainname))
	}
	return nil
}

// parseMode checks a mode against the words it can be. "private" is the usual
// one, "".
func parseMode(value string, words []string) (string, error) {
	if value == "" || value == "private" {
		return "", nil
	}
	word, name, found := strings.Cut(value, ":")
	if found && name != "" {
		word += ":NAME"
	}
	if !slices.Contains(words, word) {
		return "", fmt.Errorf("it is one of %s", strings.Join(words, ", "))
	}
	return value, nil
}
