// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// An IDMap is one line of a user namespace's uid_map or gid_map: Size ids from
// Inside in the namespace are those from Outside in its parent
// (user_namespaces(7)).
type IDMap struct{ Inside, Outside, Size uint32 }

// An IDRange is Size ids from First.
type IDRange struct{ First, Size uint32 }

// allIDs is how many ids there are: every number but (uid_t)-1.
const allIDs = math.MaxUint32

// maxIDFile is how much of a file of subordinate ids is read.
const maxIDFile = 16 << 20

// FormatIDMaps returns maps as uid_map and gid_map take them.
func FormatIDMaps(maps []IDMap) []byte {
	var b []byte
	for _, m := range maps {
		b = fmt.Appendf(b, "%d %d %d\n", m.Inside, m.Outside, m.Size)
	}
	return b
}

// ReadIDMaps reads a uid_map or gid_map, such as /proc/self/uid_map. It is
// empty in a user namespace whose map has not been written.
func ReadIDMaps(path string) ([]IDMap, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	maps, err := parseIDMaps(string(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return maps, nil
}

func parseIDMaps(text string) ([]IDMap, error) {
	var maps []IDMap
	for line := range strings.Lines(text) {
		var m IDMap
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%q is not a line of an id map", strings.TrimSpace(line))
		}
		for i, into := range []*uint32{&m.Inside, &m.Outside, &m.Size} {
			n, err := strconv.ParseUint(fields[i], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%q is not a line of an id map", strings.TrimSpace(line))
			}
			*into = uint32(n)
		}
		maps = append(maps, m)
	}
	return maps, nil
}

// OutsideID returns what the id inside a user namespace is in its parent.
func OutsideID(maps []IDMap, inside uint32) (outside uint32, ok bool) {
	for _, m := range maps {
		if inside >= m.Inside && inside-m.Inside < m.Size {
			return m.Outside + (inside - m.Inside), true
		}
	}
	return 0, false
}

// SubordinateIDs returns the ranges that the file at path, /etc/subuid or
// /etc/subgid, gives to a user, in the file's order: the lines that begin with
// name or with uid in decimal (subuid(5)). A file that does not exist gives
// none.
func SubordinateIDs(path, name string, uid uint32) ([]IDRange, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ranges, err := parseSubordinateIDs(io.LimitReader(f, maxIDFile), name, uid)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return ranges, nil
}

// parseSubordinateIDs passes over lines of others, whatever they are, and over
// ranges of nobody's ids; a line of the user's own that is wrong is an error.
func parseSubordinateIDs(r io.Reader, name string, uid uint32) ([]IDRange, error) {
	var ranges []IDRange
	number := strconv.FormatUint(uint64(uid), 10)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		owner, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if owner == "" || owner != name && owner != number {
			continue
		}
		first, size, _ := strings.Cut(rest, ":")
		a, err1 := strconv.ParseUint(first, 10, 32)
		n, err2 := strconv.ParseUint(size, 10, 32)
		if err1 != nil || err2 != nil || a+n > allIDs {
			return nil, fmt.Errorf("%q is not OWNER:FIRST:COUNT", lines.Text())
		}
		if n > 0 {
			ranges = append(ranges, IDRange{First: uint32(a), Size: uint32(n)})
		}
	}
	return ranges, lines.Err()
}

// MapSubordinate returns the map by which an ordinary user runs containers: the
// user is 0 inside, and its subordinate ids follow from 1.
func MapSubordinate(own uint32, ranges []IDRange) []IDMap {
	maps := []IDMap{{Inside: 0, Outside: own, Size: 1}}
	next := uint64(1)
	for _, r := range ranges {
		size := min(uint64(r.Size), allIDs-next)
		if size == 0 {
			break
		}
		maps = append(maps, IDMap{Inside: uint32(next), Outside: r.First, Size: uint32(size)})
		next += size
	}
	return maps
}

// initialUserNamespace is the inode of the first user namespace in nsfs
// (USER_NS_INIT_INO in include/uapi/linux/nsfs.h).
const initialUserNamespace = 0xeffffffd

// InUserNamespace reports whether the process is in a user namespace other than
// the first one: then capabilities are those over what the namespace owns.
var InUserNamespace = sync.OnceValue(func() bool {
	var st unix.Stat_t
	err := Retry(func() error { return unix.Stat("/proc/self/ns/user", &st) })
	return err == nil && st.Ino != initialUserNamespace
})
