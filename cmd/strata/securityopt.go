// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"strata/internal/container"
)

// securityOptions reads the values of --security-opt into i. Docker takes a
// colon for the equals sign too.
func securityOptions(values []string, i *container.Isolation) error {
	for _, value := range values {
		if err := securityOption(value, i); err != nil {
			return fmt.Errorf("--security-opt %s: %w", value, err)
		}
	}
	return nil
}

func securityOption(option string, i *container.Isolation) error {
	name, value := option, ""
	if at := strings.IndexAny(option, "=:"); at >= 0 {
		name, value = option[:at], option[at+1:]
	}
	switch {
	case name == "no-new-privileges" && name == option:
		value = "true"
		fallthrough
	case name == "no-new-privileges":
		set, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		i.NewPrivileges, i.NoNewPrivileges = !set, set
		return nil
	case name == "apparmor" && value == "unconfined", name == "label" && value == "disable": // nothing confines by them
		return nil
	case name == "seccomp" && value == "":
		return errors.New("no profile is named; give a file, builtin or unconfined")
	case name == "seccomp":
		i.Seccomp = value
		return nil
	case name == "apparmor", name == "label":
		return errors.New("no profile or label of a security module can be set")
	}
	return fmt.Errorf("%q is unknown; known are seccomp and no-new-privileges", name)
}
