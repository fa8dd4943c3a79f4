// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is a version of Linux: {6, 18} is 6.18.
type Kernel [2]int

// RunningKernel is the version that uname(2) tells. What follows the second
// number does not matter, as with Docker.
func RunningKernel() Kernel {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Kernel{}
	}
	return parseRelease(unix.ByteSliceToString(name.Release[:]))
}

func parseRelease(release string) (k Kernel) {
	for i := range k {
		digits := len(release) - len(strings.TrimLeft(release, "0123456789"))
		k[i], _ = strconv.Atoi(release[:digits])
		release = strings.TrimPrefix(release[digits:], ".")
	}
	return k
}

func (k Kernel) before(o Kernel) bool { return k[0] < o[0] || k[0] == o[0] && k[1] < o[1] }

func (k Kernel) String() string { return strconv.Itoa(k[0]) + "." + strconv.Itoa(k[1]) }

// UnmarshalJSON takes "4.8"; an empty string is every kernel.
func (k *Kernel) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("minKernel %s: write it as \"4.8\"", data)
	}
	*k = Kernel{}
	if s == "" {
		return nil
	}
	first, second, _ := strings.Cut(s, ".")
	for i, part := range []string{first, second} {
		n, err := strconv.ParseUint(part, 10, 8)
		if k[i] = int(n); err != nil {
			return fmt.Errorf("minKernel %q: write it as \"4.8\"", s)
		}
	}
	return nil
}
