// SPDX-License-Identifier: Apache-2.0

// Package layer turns a layer's archive into a directory in overlay form and
// such a directory into an archive, and makes an applied archive again byte for
// byte. It is the only code that reads or writes layer archives.
//
// The rules are image-spec's layer.md. An archive is hostile input: every entry
// is placed by a walk of descriptors that follows no link.
package layer

import (
	"time"

	"context"
	"errors"
	"fmt"
	"strconv"

	"strata/internal/oci"
	"strata/internal/overlay"
)

// Marks says in which extended attributes overlay keeps its marks.
type Marks = overlay.Marks

// Info describes an archive.
type Info struct {
	DiffID      oci.Digest // of the uncompressed archive
	ArchiveSize int64      // its bytes, with all that follows the last entry
	ContentSize int64      // bytes of the regular files in it
	Entries     int        // its entries, whiteouts among them
	Newest      time.Time  // the latest modification time in it, in whole seconds
}

// add counts an entry with its time.
func (i *Info) add(mtime time.Time) {
	i.Entries++
	if whole := time.Unix(mtime.Unix(), 0).UTC(); whole.After(i.Newest) {
		i.Newest = whole
	}
}

// Names with a meaning of their own (image-spec, layer.md#whiteouts). Those
// that begin with metaPrefix are aufs's bookkeeping, but for opaqueName.
const (
	whiteoutPrefix = ".wh."
	metaPrefix     = ".wh..wh."
	opaqueName     = ".wh..wh..opq"
)

// xattrPrefix is how extended attributes travel in PAX records.
const xattrPrefix = "SCHILY.xattr."

// maxID is the largest user or group id: 2^32-1 is chown(2)'s "leave it", and
// what is larger would be cut off to somebody else's, root's for 2^32.
const maxID = 1<<32 - 2

// isOverlays reports whether overlay itself keeps attr, in either namespace. It
// is never read from an archive, where podman would let it graft other
// directories in, nor written to one.
func isOverlays(attr string) bool {
	return Marks{}.IsMark(attr) || Marks{UserXattr: true}.IsMark(attr)
}

// isHosts reports whether the host's security module keeps attr: a label or a
// keyed sum of this machine, and nothing that belongs to an image.
func isHosts(attr string) bool {
	return attr == "security.selinux" || attr == "security.evm"
}

// show is a name as a message may hold it: quoted where it has bytes that a
// terminal could take for something else.
func show(name string) string {
	if quoted := strconv.Quote(name); name == "" || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// entryError says which entry of the archive could not be applied or written.
func entryError(name string, err error) error {
	var known *EntryError
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // no fault of the entry's
	}
	return &EntryError{Name: name, Err: err}
}

// EntryError is a failure that one entry of an archive or tree is the cause of.
type EntryError struct {
	Name string // as the archive or the tree has it
	Err  error
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry %s: %v", show(e.Name), e.Err) }

func (e *EntryError) Unwrap() error { return e.Err }
