// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/sandbox"
	"strata/internal/spelling"
)

// allCapabilities is every capability in --cap-add and --cap-drop.
const allCapabilities = "ALL"

// ParseCapability turns a name as Docker takes it, "chown" or "CAP_CHOWN", into
// the kernel's, or "ALL".
func ParseCapability(name string) (string, error) {
	upper := strings.ToUpper(strings.TrimSpace(name))
	if upper == allCapabilities {
		return upper, nil
	}
	short := strings.TrimPrefix(upper, "CAP_")
	known := sandbox.Capabilities()
	if !slices.Contains(known, short) {
		return "", fmt.Errorf("the kernel has no capability %q%s", name, spelling.Question(spelling.Nearest(short, known)))
	}
	return "CAP_" + short, nil
}

// capabilities are those of a container by Docker's rules: the usual ones or
// with ALL every one, without those that were dropped, or with ALL none, and
// with those that were added. There are none that we do not have ourselves;
// asking for one by name is an error.
func capabilities(r *container.Record) ([]string, error) {
	i := &r.Host.Isolation
	if !i.Privileged && len(i.CapAdd)+len(i.CapDrop) == 0 {
		return defaultCapabilities, nil
	}
	ours, err := ownCapabilities(r)
	if err != nil {
		return nil, err
	}
	if i.Privileged {
		return ours, nil
	}
	set := defaultCapabilities
	switch {
	case slices.Contains(i.CapAdd, allCapabilities):
		set = ours
	case slices.Contains(i.CapDrop, allCapabilities):
		set = nil
	}
	set = slices.DeleteFunc(slices.Clone(set), func(name string) bool { return slices.Contains(i.CapDrop, name) })
	for _, name := range i.CapAdd {
		switch {
		case name == allCapabilities || slices.Contains(set, name):
		case !slices.Contains(ours, name):
			return nil, fmt.Errorf("--cap-add %s: we do not have it ourselves, so nobody can be given it", name)
		default:
			set = append(set, name)
		}
	}
	return set, nil
}

// ownCapabilities are those that we can give: the ones we have ourselves, or
// all where a user namespace of the container's own begins with all
// (user_namespaces(7)).
func ownCapabilities(r *container.Record) ([]string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, fmt.Errorf("read our capabilities: %w", err)
	}
	var names []string
	for bit, name := range sandbox.Capabilities() {
		if data[bit/32].Permitted&(1<<(bit%32)) != 0 || r.Host.UserNS == container.UserNSAuto {
			names = append(names, "CAP_"+name)
		}
	}
	return names, nil
}
