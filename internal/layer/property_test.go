// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"bytes"
	"context"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"strata/internal/layer"
	"strata/internal/tree"
)

var ctx = context.Background()

var everything = tree.Config{Marks: true, Devices: true, Owners: true, Xattrs: true, OddNames: true, Nanotimes: true}

// wholeSeconds is what an archive keeps of times.
func wholeSeconds(e *tree.Entry) {
	if !e.Mtime.IsZero() {
		e.Mtime = time.Unix(e.Mtime.Unix(), 0).UTC()
	}
}

func TestWriteThenApply(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	for name, marks := range map[string]layer.Marks{"trusted": {}, "user": {UserXattr: true}} {
		var opts []tree.Option
		if marks.UserXattr {
			opts = append(opts, tree.UserXattr)
		}
		t.Run(name, rapid.MakeCheck(func(rt *rapid.T) {
			want := tree.Gen(everything).Draw(rt, "tree").With(tree.Dir(".", tree.Mode(0o750)))
			from, to := tempDir(rt, base), tempDir(rt, base)
			defer os.RemoveAll(from)
			defer os.RemoveAll(to)
			tree.Create(rt, from, want, opts...)
			data, wrote := write(rt, from, layer.WriteOptions{Marks: marks, Root: true})
			applied, err := apply(rt, to, data, layer.ApplyOptions{Marks: marks})
			if err != nil {
				rt.Fatalf("apply: %v", err)
			}
			if applied != wrote {
				rt.Fatalf("Write gives %+v, Apply %+v", wrote, applied)
			}
			got := tree.Read(rt, to, append(opts, tree.WithRoot)...)
			if diff := cmp.Diff(want.Map(wholeSeconds), got); diff != "" {
				rt.Fatalf("tree after Write and Apply (-want +got):\n%s", diff)
			}
			if again, _ := write(rt, to, layer.WriteOptions{Marks: marks, Root: true}); !bytes.Equal(again, data) {
				rt.Fatalf("two equal trees give different archives")
			}
		}))
	}
}

// TestArchivesOfAnything draws archives that name paths again and again, with
// links among them and whiteouts anywhere. What Apply accepts can be made again
// byte for byte (apply checks that), and is a layer that can be committed; what
// it refuses it refuses for one of two reasons.
func TestArchivesOfAnything(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		data := archive(rt, rapid.SliceOfN(anyEntry(), 1, 15).Draw(rt, "entries")...)
		to := tempDir(rt, base)
		defer os.RemoveAll(to)
		if _, err := apply(rt, to, data, layer.ApplyOptions{}); err == nil {
			rewrite(rt, to, tempDir(rt, base))
		} else if !strings.Contains(err.Error(), ": parent ") && !strings.Contains(err.Error(), ": hard link to ") {
			rt.Fatalf("apply: %v", err)
		}
	})
}

func anyEntry() *rapid.Generator[entry] {
	names := rapid.SampledFrom([]string{"a", "b", "d/a", "d/b", "d", "d/e", "d/e/a", "./d/e/b"})
	return rapid.Custom(func(t *rapid.T) entry {
		name := names.Draw(t, "name")
		switch rapid.IntRange(0, 8).Draw(t, "kind") {
		case 0, 1:
			return dir(name)
		case 2:
			return symlink(name, "d")
		case 3, 4:
			return hardLink(name, names.Draw(t, "target"))
		case 5:
			return file(path.Join(path.Dir(name), ".wh."+path.Base(name)), "")
		case 6:
			return file("d/"+name+"/.wh..wh..opq", "")
		case 7:
			return file(name, "x").sparse(rapid.Int64Range(0, 1000).Draw(t, "offset"), 2000)
		}
		return file(name, strings.Repeat("c", rapid.IntRange(0, 1500).Draw(t, "size")))
	})
}
