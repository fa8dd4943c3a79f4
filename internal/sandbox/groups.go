// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"strings"
)

// groupsFixed reports whether we are in a user namespace of one id, where nobody
// may drop a group, which could be there to deny something (user_namespaces(7),
// "/proc/pid/setgroups").
func groupsFixed() bool {
	text, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(text)) == "deny"
}
