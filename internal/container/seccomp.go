// SPDX-License-Identifier: Apache-2.0

package container

// What Isolation.Seccomp can be beside a profile's JSON and nothing, which is the
// default profile unless the container is privileged.
const (
	SeccompUnconfined = "unconfined"
	SeccompBuiltin    = "builtin" // the default profile in any case
)
