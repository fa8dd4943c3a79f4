// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/linux"
)

// A place is where something of the store lies: a path with a kind of name for
// each part. Docs/format.md lists the same paths, and a test compares the two.
type place struct {
	path string // a directory's ends in a slash
	how  looked
}

// looked says how far a place is looked at.
type looked int

const (
	ours     looked = iota // owner and mode are ours, and a directory holds nothing but places
	required               // the same, and the store is not whole without it
	theirs                 // a layer's tree or the like: what it holds and its mode are another's
	either                 // as theirs, and may be a file or a directory
	link                   // a symbolic link
)

var places = []place{
	{"format.json", ours}, {"userns", ours}, {"lock", ours},
	{"layers/", required}, {"layers/HEX/", ours},
	{"layers/HEX/tree/", theirs}, {"layers/HEX/layer.json", ours}, {"layers/HEX/archive.gz", ours}, {"layers/HEX/blob-HEX", ours},
	{"layers/HEX/usage.json", ours}, {"layers/HEX/implied.json", ours}, {"layers/HEX/implied/", ours}, {"layers/HEX/implied/CHAINHEX", either},
	{"images/", required}, {"images/blobs/", required}, {"images/blobs/sha256/", required}, {"images/blobs/sha256/HEX", ours},
	{"images/names/", required}, {"images/names/HEX.json", ours}, {"images/starts/", required}, {"images/starts/HEX", ours},
	{"seccomp/", ours}, {"seccomp/HEX", ours},
	{"containers/", required}, {"containers/ID/", ours},
	{"containers/ID/config.json", ours}, {"containers/ID/state.json", ours}, {"containers/ID/resources.json", ours},
	{"containers/ID/update.lock", ours}, {"containers/ID/mounted", ours}, {"containers/ID/upper/", theirs}, {"containers/ID/work/", theirs},
	{"names/", required}, {"names/NAME", link},
	{"staging/", required}, {"staging/…/", theirs},
	{"trash/", required}, {"trash/…", either},
	{"mounts/", required}, {"mounts/ID/", theirs},
	{"empty/", required},
}

// fits reports whether a name is of the kind that a part of a place's path is.
func fits(kind, name string) bool {
	before, after, isKind := cutKind(kind)
	if !isKind {
		return name == kind
	}
	middle, ok := strings.CutPrefix(name, before)
	if !ok {
		return false
	}
	if middle, ok = strings.CutSuffix(middle, after); !ok {
		return false
	}
	switch kind[len(before) : len(kind)-len(after)] {
	case "…":
		return true
	case "NAME":
		return container.CheckName(middle) == nil
	}
	return len(middle) == 64 && strings.Trim(middle, "0123456789abcdef") == ""
}

// cutKind finds the part of a name that differs from one to the next.
func cutKind(kind string) (before, after string, ok bool) {
	for _, k := range []string{"CHAINHEX", "HEX", "ID", "NAME", "…"} {
		if before, after, ok = strings.Cut(kind, k); ok {
			return before, after, true
		}
	}
	return "", "", false
}

// placeOf finds the place of an entry of the directory at a place.
func placeOf(dir, name string) (place, bool) {
	for _, p := range places {
		rest, ok := strings.CutPrefix(p.path, dir)
		part := strings.TrimSuffix(rest, "/")
		if ok && part != "" && !strings.Contains(part, "/") && fits(part, name) {
			return p, true
		}
	}
	return place{}, false
}

// places checks that everything in the store is where it belongs, of the right
// kind, the user's own and open to nobody else. Without its directories the rest
// of a store cannot be looked at.
func (c *checking) places() (whole bool, err error) {
	before := c.result.Damaged
	for _, p := range places {
		if p.how == required {
			c.required(p)
		}
	}
	whole = c.result.Damaged == before
	root, err := linux.OpenDir(c.root)
	if err != nil {
		return whole, err
	}
	defer root.Close()
	return whole, c.placesIn(root, "", "")
}

// required reports a directory of the store that is not there.
func (c *checking) required(p place) {
	path := c.root + "/" + p.path
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return
	}
	c.found(fault.Fault{
		Object: "store", What: p.path + ": it is missing", Cure: fault.Remake,
		Mend: func() error { return os.MkdirAll(path, 0o700) },
	})
}

// placesIn looks at the entries of a directory of the store, at the place of.
func (c *checking) placesIn(dir *os.File, of, path string) error {
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return &os.PathError{Op: "read", Path: dir.Name(), Err: err}
	}
	for _, e := range entries {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		st, err := linux.Lstat(int(dir.Fd()), e.Name)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "stat", Path: dir.Name() + "/" + e.Name, Err: err}
		}
		p, ok := placeOf(of, e.Name)
		switch {
		case ok:
			err = c.placed(dir, p, path+e.Name, &st)
		case durable.IsTemporary(e.Name):
			c.temporary(path+e.Name, &st)
		default:
			c.found(fault.Fault{Object: "store", What: quoted(path+e.Name) + ": it does not belong here", Todo: "move it away"})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// temporary is what a killed write has left, if it is not being written now.
func (c *checking) temporary(path string, st *unix.Stat_t) {
	if time.Since(time.Unix(st.Mtim.Sec, st.Mtim.Nsec)) < time.Minute {
		return
	}
	c.found(fault.Fault{
		Object: "store", What: quoted(path) + ": a write was interrupted", Leftover: true, Cure: fault.Remove,
		Mend: func() error { return ignoreMissing(os.RemoveAll(c.root + "/" + path)) },
	})
}

// placed looks at something that lies at a place.
func (c *checking) placed(dir *os.File, p place, path string, st *unix.Stat_t) error {
	isDir := strings.HasSuffix(p.path, "/")
	want := uint32(unix.S_IFREG)
	if isDir {
		want = unix.S_IFDIR
	} else if p.how == link {
		want = unix.S_IFLNK
	}
	if st.Mode&unix.S_IFMT != want && p.how != either {
		c.found(fault.Fault{Object: "store", What: fmt.Sprintf("%s: it is %s and not %s", path, kindOf(st.Mode), kindOf(want)), Todo: "move it away"})
		return nil
	}
	if p.how == ours || p.how == required {
		c.mode(path, isDir, st)
	}
	if !isDir || p.how == theirs {
		return nil
	}
	sub, err := openHere(dir, path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if errors.Is(err, os.ErrPermission) {
		c.found(fault.Fault{Object: "store", What: path + ": it cannot be read: permission denied", Todo: "give it back to its owner"})
		return nil
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	return c.placesIn(sub, p.path, path+"/")
}

func openHere(dir *os.File, path string) (*os.File, error) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	fd, err := linux.OpenAt(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir.Name() + "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()+"/"+name), nil
}

// mode compares owner and mode: nobody else may come in, and we may.
func (c *checking) mode(path string, isDir bool, st *unix.Stat_t) {
	if uid := uint32(os.Geteuid()); st.Uid != uid {
		c.found(fault.Fault{
			Object: "store", What: fmt.Sprintf("%s: it belongs to user %d and not to %d", path, st.Uid, uid),
			Todo: fmt.Sprintf("give it back (chown %d)", uid),
		})
	}
	want := uint32(0o600)
	if isDir {
		want = 0o700
	}
	got := st.Mode & 0o7777
	if got == want || !isDir && got&^0o700 == 0 && got&0o400 != 0 {
		return
	}
	full := c.root + "/" + path
	c.found(fault.Fault{
		Object: "store", What: fmt.Sprintf("%s: its mode is %04o and not %04o", path, got, want),
		Cure: fault.Cure{Will: "sets it", Did: "set"},
		Mend: func() error { return ignoreMissing(os.Chmod(full, os.FileMode(want))) },
	})
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	}
	return "a device, pipe or socket"
}

// quoted is a path as a line may hold it.
func quoted(path string) string {
	if q := strconv.Quote(path); q != `"`+path+`"` {
		return q
	}
	return path
}
