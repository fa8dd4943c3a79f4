// SPDX-License-Identifier: Apache-2.0

package layer

import "fmt"

// Limits are what an archive may ask for before it is refused as a bomb
// (CVE-2017-14992, CVE-2025-58183). A zero field has the default.
type Limits struct {
	Entries  int   // entries, and directories made because an entry is beneath them; 5,000,000
	Bytes    int64 // bytes of the uncompressed archive, and of the files in it; 256 GiB
	Path     int   // bytes of a path; 4096, which is also the most
	Name     int   // bytes of a component; 255, which is also the most
	Xattrs   int   // bytes of an entry's extended attributes, names and values; 256 KiB
	Noted    int64 // bytes of the paths that are kept in memory to the end, of directories and whiteouts for instance, and 48 for each; 32 MiB
	Trailing int64 // bytes after the end of the archive; 16 MiB
}

const (
	pathMax = 4096 // PATH_MAX
	nameMax = 255  // NAME_MAX
)

func (l Limits) withDefaults() Limits {
	l.Entries = orDefault(l.Entries, 5_000_000)
	l.Bytes = orDefault(l.Bytes, 256<<30)
	l.Path = min(orDefault(l.Path, pathMax), pathMax)
	l.Name = min(orDefault(l.Name, nameMax), nameMax)
	l.Xattrs = orDefault(l.Xattrs, 256<<10)
	l.Noted = orDefault(l.Noted, 32<<20)
	l.Trailing = orDefault(l.Trailing, 16<<20)
	return l
}

func orDefault[N int | int64](n, preset N) N {
	if n == 0 {
		return preset
	}
	return n
}

// LimitError says which limit an archive passes.
type LimitError struct {
	What string // "entries", "bytes" and so on
	Most int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("more than the limit of %d %s", e.Most, e.What)
}

func over[N int | int64](what string, n, most N) error {
	if n > most {
		return &LimitError{What: what, Most: int64(most)}
	}
	return nil
}
