// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// checkProcess holds what a process is given to the values that the kernel has.
func checkProcess(s *specs.Spec) error {
	for _, check := range []func() error{
		func() error { return checkRlimits(s.Process.Rlimits) },
		func() error { return checkScheduling(s) },
		func() error { return checkDevices(s.Linux.Devices) },
		func() error { return checkSysctl(s) },
		func() error { return checkPersonality(s.Linux) },
		func() error { return checkNames(s) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses to name the host, or what is another's, and namespaces that
// are listed twice (runtime-spec, config-linux.md, "Namespaces").
func checkNames(s *specs.Spec) error {
	if !hasNamespace(s, specs.UTSNamespace) || isOurs(s, specs.UTSNamespace) {
		if s.Hostname != "" {
			return &UnsupportedError{Field: "hostname", Value: "without a uts namespace of its own"}
		}
		if s.Domainname != "" {
			return &UnsupportedError{Field: "domainname", Value: "without a uts namespace of its own"}
		}
	}
	if !ownsNamespace(s, specs.MountNamespace) {
		return &UnsupportedError{Field: "linux.namespaces", Value: "without a mount namespace"}
	}
	for i, ns := range s.Linux.Namespaces {
		same := func(other specs.LinuxNamespace) bool { return other.Type == ns.Type }
		if slices.ContainsFunc(s.Linux.Namespaces[i+1:], same) {
			return &UnsupportedError{Field: "linux.namespaces", Value: string(ns.Type) + " twice"}
		}
	}
	return nil
}
