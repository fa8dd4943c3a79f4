// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"bytes"
	"context"
	"os"
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
