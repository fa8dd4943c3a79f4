// SPDX-License-Identifier: Apache-2.0

package seccomp

import _ "embed"

// readyProgram is the default profile compiled for BuiltinTarget.
//
//go:embed default_amd64.bpf
var readyProgram []byte
