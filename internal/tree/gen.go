// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"path"
	"strings"

	"pgregory.net/rapid"
)

// Config says what Gen may draw. The zero value gives small trees of files,
// directories, symbolic and hard links that an ordinary user can create.
type Config struct {
	Max       int  // most entries drawn, parents not counted; 0 means 12
	Marks     bool // whiteouts and opaque directories
	Devices   bool // devices and pipes
	Owners    bool // owners other than the caller, among them large ids
	Xattrs    bool // attributes of user.*, trusted.* and security.capability
	OddNames  bool // spaces, line ends, bytes that are not UTF-8, 255 bytes
	Nanotimes bool // times with a fraction of a second, before 1970, after 2242
}

// Gen draws trees. Names come from a small pool so that two trees drawn in one
// test meet at the same paths.
func Gen(c Config) *rapid.Generator[Tree] {
	if c.Max == 0 {
		c.Max = 12
	}
	return rapid.Custom(func(t *rapid.T) Tree {
		dirs, files, used := []string{"."}, []string{}, map[string]bool{".": true}
		var entries []Entry
		for range rapid.IntRange(0, c.Max).Draw(t, "entries") {
			name := path.Join(rapid.SampledFrom(dirs).Draw(t, "dir"), c.name(t))
			if used[name] {
				continue
			}
			used[name] = true
			e := c.entry(t, name, files)
			switch e.Kind {
			case KindDir:
				dirs = append(dirs, name)
			case KindFile:
				files = append(files, name)
			}
			entries = append(entries, e)
		}
		return firstNames(New(entries...))
	})
}

// firstNames moves each file's description to its first name in path order,
// which is how Read gives a group of hard links.
func firstNames(tr Tree) Tree {
	index := map[string]int{} // of the entry that stands for the file first named so
	for i, e := range tr {
		index[e.Path] = i
	}
	for i, e := range tr {
		j, linked := index[e.Target]
		if e.Kind != KindHardLink || !linked {
			continue
		}
		if tr[j].Kind == KindHardLink { // its file has moved to an earlier name already
			tr[i].Target = tr[j].Target
			continue
		}
		if j > i {
			tr[i], tr[j] = tr[j], HardLink(tr[j].Path, e.Path)
			tr[i].Path = e.Path
		}
	}
	return tr
}

func (c Config) name(t *rapid.T) string {
	names := []string{"a", "b", "c", "d", "a.b", "bin", "etc"}
	if c.OddNames {
		names = append(names, " ", "a b", "new\nline", "tab\t=x", "\xff\xfe", "ä€", "e\u0301", "-x", ".wh", "wh.x",
			strings.Repeat("n", 99), strings.Repeat("n", 100), strings.Repeat("o", 255), `a\b`, "a:b", "a,b", "...")
	}
	return rapid.SampledFrom(names).Draw(t, "name")
}

func (c Config) kinds() []Kind {
	kinds := []Kind{KindFile, KindFile, KindFile, KindDir, KindDir, KindSymlink, KindHardLink}
	if c.Devices {
		kinds = append(kinds, KindFifo, KindChar, KindBlock)
	}
	if c.Marks {
		kinds = append(kinds, KindWhiteout)
	}
	return kinds
}

func (c Config) entry(t *rapid.T, name string, files []string) Entry {
	kind := rapid.SampledFrom(c.kinds()).Draw(t, "kind")
	switch {
	case kind == KindWhiteout:
		return Whiteout(name)
	case kind == KindHardLink && len(files) > 0:
		return HardLink(name, rapid.SampledFrom(files).Draw(t, "target"))
	case kind == KindHardLink:
		kind = KindFile
	}
	e := entry(Entry{Path: name, Kind: kind, Mode: 0o777}, nil)
	c.attributes(t, &e)
	switch kind {
	case KindFile:
		e.Content = strings.Repeat(rapid.SampledFrom([]string{"", "x", "\x00", "text\n"}).Draw(t, "content"),
			rapid.SampledFrom([]int{1, 2, 511, 512, 513, 5000}).Draw(t, "times"))
	case KindSymlink:
		e.Target = rapid.SampledFrom([]string{"a", "../b", "/etc", "no where", "\xff", strings.Repeat("t/", 100)}).Draw(t, "target")
	case KindChar, KindBlock:
		e.Major, e.Minor = rapid.Uint32Range(1, 4095).Draw(t, "major"), rapid.Uint32Range(0, 1<<20-1).Draw(t, "minor")
	case KindDir:
		e.Opaque = c.Marks && rapid.IntRange(0, 3).Draw(t, "opaque") == 0
	}
	return e
}

func (c Config) attributes(t *rapid.T, e *Entry) {
	if e.Kind != KindSymlink {
		e.Mode = rapid.SampledFrom([]uint32{0o644, 0o755, 0o600, 0o7777, 0o4755, 0o2755, 0o1777, 0}).Draw(t, "mode")
	}
	if c.Owners {
		ids := rapid.SampledFrom([]uint32{0, 0, 1, 1000, 65534, 0o7777777, 0o7777777 + 1, 1<<32 - 2})
		e.UID, e.GID = ids.Draw(t, "uid"), ids.Draw(t, "gid")
	}
	times := []Mod{Time(0), Time(1), Time(1_700_000_000), func(*Entry) {}}
	if c.Nanotimes {
		times = append(times, TimeNano(1_700_000_000_999_999_999), Time(1<<33), Time(-1), TimeNano(-1))
	}
	rapid.SampledFrom(times).Draw(t, "time")(e)
	if c.Xattrs {
		c.xattrs(t, e)
	}
}

func (c Config) xattrs(t *rapid.T, e *Entry) {
	names := []string{"trusted.x", "trusted.overlay.overlay.opaque"}
	if e.Kind == KindFile || e.Kind == KindDir {
		names = append(names, "user.x", "user.y=z", "user.overlay.overlay.opaque")
	}
	for range rapid.IntRange(-2, 2).Draw(t, "xattrs") {
		value := rapid.SampledFrom([]string{"y", "", "a=b\nc", "\x00\xff"}).Draw(t, "value")
		Xattr(rapid.SampledFrom(names).Draw(t, "xattr"), value)(e)
	}
	if e.Kind == KindFile && rapid.IntRange(0, 5).Draw(t, "capability") == 0 {
		Xattr("security.capability", capNetRaw)(e)
	}
}

// capNetRaw is struct vfs_cap_data, version 2: cap_net_raw permitted and effective.
var capNetRaw = fmt.Sprintf("\x01\x00\x00\x02\x00\x20\x00\x00%s", strings.Repeat("\x00", 12))
