// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// cleanName gives the path of an entry within the layer, "." for its root, which
// is what a leading slash means (ko names entries so, and kaniko the targets of
// hard links). What could mean a place elsewhere is refused and not mended: a name
// with ".." has no business in a layer, and tools that resolved it have written
// outside.
func (l Limits) cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("its name is empty")
	case len(name) > l.Path+len(whiteoutPrefix):
		return "", &LimitError{What: "bytes in a path", Most: int64(l.Path)}
	case strings.IndexByte(name, 0) >= 0:
		return "", errors.New("its name holds a NUL byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New(`its name has ".." in it`)
		}
		// A whiteout's own name is never created, only what it hides.
		if err := over("bytes in a name", len(strings.TrimPrefix(part, whiteoutPrefix)), l.Name); err != nil {
			return "", err
		}
	}
	if name = strings.TrimLeft(name, "/"); name == "" {
		return ".", nil
	}
	return path.Clean(name), nil
}

// meaning is what the name of an entry says it is.
type meaning int

const (
	plain    meaning = iota
	whiteout         // hides an entry of lower layers
	opaque           // hides all that lower layers have in a directory
	ignored          // bookkeeping of aufs
)

// classify tells what a clean name means, and the path that a whiteout hides or
// the directory that an opaque mark stands in.
func classify(name string) (meaning, string, error) {
	if !strings.Contains(name, whiteoutPrefix) {
		return plain, name, nil
	}
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, metaPrefix) {
			return ignored, "", nil
		}
		if strings.HasPrefix(part, whiteoutPrefix) {
			return plain, "", fmt.Errorf("%s is a whiteout and cannot hold entries", show(part))
		}
	}
	hidden, isWhiteout := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case base == opaqueName:
		return opaque, path.Clean(dir), nil
	case strings.HasPrefix(base, metaPrefix):
		return ignored, "", nil
	case !isWhiteout:
		return plain, name, nil
	case hidden == "" || hidden == "." || hidden == "..":
		return plain, "", errors.New("a whiteout of no name")
	}
	return whiteout, path.Join(dir, hidden), nil
}
