// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
	"strata/internal/store"
	"strata/internal/tree"
)

func TestAddLayer(t *testing.T) {
	s := newStore(t)
	data := archive(t, entry{"etc/", ""}, entry{"etc/profile", "hello"}, entry{"bin", "world!"})
	l := add(t, s, entry{"etc/", ""}, entry{"etc/profile", "hello"}, entry{"bin", "world!"})
	want(t, "layer", l, store.Layer{DiffID: oci.FromBytes(data), ArchiveSize: int64(len(data)), ContentSize: 11, Entries: 3, Newest: time.Unix(0, 0).UTC()})
	again, err := s.Layer(l.DiffID)
	want(t, "read back", again, l)
	want(t, "error", err, nil)
	all, err := s.Layers()
	want(t, "all", all, []store.Layer{l})
	want(t, "error", err, nil)
	want(t, "descriptor", l.Descriptor(), oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: l.DiffID, Size: l.ArchiveSize})
	var out bytes.Buffer
	want(t, "archive", s.Archive(context.Background(), l.DiffID, &out), nil)
	want(t, "same bytes", bytes.Equal(out.Bytes(), data), true)
	want(t, "verify", s.Verify(context.Background(), l.DiffID), nil)
	lower, err := s.Lower(l.DiffID)
	if err != nil {
		t.Fatal(err)
	}
	defer lower.Close()
	content, err := os.ReadFile(lower.Name() + "/etc/profile")
	want(t, "content", string(content), "hello")
	want(t, "error", err, nil)
	clean(t, s)
}

func TestAddLayerChecksTheDigest(t *testing.T) {
	s := newStore(t)
	expect := oci.FromBytes([]byte("another"))
	data := archive(t, entry{"a", "x"})
	_, err := s.AddLayer(context.Background(), bytes.NewReader(data), store.ApplyOptions{Expect: expect})
	wantError(t, err, "apply layer "+string(expect)+": the archive has the digest "+string(oci.FromBytes(data)))
	all, _ := s.Layers()
	want(t, "layers", all, "[]")
	clean(t, s)
}

func TestAddLayerThatFailsLeavesNothing(t *testing.T) {
	data := archive(t, entry{"a", strings.Repeat("x", 5000)}, entry{"b", "y"})
	broken := errors.New("the network is gone")
	for name, r := range map[string]io.Reader{
		"truncated": bytes.NewReader(data[:len(data)/2]),
		"not a tar": strings.NewReader(strings.Repeat("rubbish", 1000)),
		"reader":    io.MultiReader(bytes.NewReader(data[:600]), errReader{broken}),
		"hostile":   bytes.NewReader(archive(t, entry{"a", "x"}, entry{"../../escape", "x"})),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			_, err := s.AddLayer(context.Background(), r, store.ApplyOptions{})
			wantError(t, err, "apply layer: ")
			all, _ := s.Layers()
			want(t, "layers", all, "[]")
			clean(t, s)
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestMissingLayer(t *testing.T) {
	s := newStore(t)
	id := oci.FromBytes([]byte("nothing"))
	_, err := s.Layer(id)
	_, err2 := s.Lower(id)
	_, err3 := s.Usage(id)
	for _, err := range []error{err, err2, err3, s.Archive(context.Background(), id, io.Discard), s.Verify(context.Background(), id)} {
		wantError(t, err, "layer "+string(id)+": not in the store: ")
		want(t, "is not exist", errors.Is(err, os.ErrNotExist), true)
	}
}

func TestVerifyFindsChanges(t *testing.T) {
	files := []entry{{"dir/", ""}, {"dir/a", strings.Repeat("x", 100_000)}, {"b", "y"}}
	for name, damage := range map[string]func(dir string) error{
		"a changed byte": func(dir string) error {
			f, err := os.OpenFile(dir+"/tree/dir/a", os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("X"), 70_000)
			return errors.Join(err, f.Close())
		},
		"a shorter file":  func(dir string) error { return os.Truncate(dir+"/tree/dir/a", 99_999) },
		"a longer file":   func(dir string) error { return os.Truncate(dir+"/tree/dir/a", 100_001) },
		"a missing file":  func(dir string) error { return os.Remove(dir + "/tree/b") },
		"a missing dir":   func(dir string) error { return os.RemoveAll(dir + "/tree/dir") },
		"a zeroed record": func(dir string) error { return os.Truncate(dir+"/archive.gz", 0) },
		"a cut record":    func(dir string) error { return os.Truncate(dir+"/archive.gz", 40) },
		"no record":       func(dir string) error { return os.Remove(dir + "/archive.gz") },
		"no description":  func(dir string) error { return os.Remove(dir + "/layer.json") },
		"a link in place": func(dir string) error {
			return errors.Join(os.Remove(dir+"/tree/b"), os.Symlink("dir/a", dir+"/tree/b"))
		},
		"a damaged record": func(dir string) error { return flip(dir+"/archive.gz", 30) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			l := add(t, s, files...)
			want(t, "before", s.Verify(context.Background(), l.DiffID), nil)
			if err := damage(s.Path() + "/layers/" + l.DiffID.Hex()); err != nil {
				t.Fatal(err)
			}
			wantError(t, s.Verify(context.Background(), l.DiffID), "layer "+string(l.DiffID)+": ")
		})
	}
}

func flip(path string, at int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[at] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// FuzzLayerRecord: a record that somebody damaged is an error that names the
// file, and never a panic or a layer with another name.
func FuzzLayerRecord(f *testing.F) {
	s := newStore(f)
	l := add(f, s, entry{"a", "x"})
	path := s.Path() + "/layers/" + l.DiffID.Hex() + "/layer.json"
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), "", "null", "{}", "[]", `{"version":2}`, strings.Replace(string(good), "directory", "erofs", 1),
		strings.Replace(string(good), `"entries":1`, `"entries":-1`, 1), strings.Repeat(" ", 70_000) + string(good),
		strings.Replace(string(good), "sha256:", "sha256:../", 1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Layer(l.DiffID)
		if err != nil {
			wantError(t, err, "layer "+string(l.DiffID)+": read "+path+": ")
		} else if got.DiffID != l.DiffID || got.ArchiveSize < 0 || got.ContentSize < 0 || got.Entries < 0 {
			t.Errorf("read %+v of %q", got, data)
		}
	})
}

func FuzzUsageRecord(f *testing.F) {
	s := newStore(f)
	l := add(f, s, entry{"a", "x"})
	u, err := s.Usage(l.DiffID)
	if err != nil {
		f.Fatal(err)
	}
	path := s.Path() + "/layers/" + l.DiffID.Hex() + "/usage.json"
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(good), "", "null", `{"version":1,"apparent":-5,"inodes":3}`, `{"version":9}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Usage(l.DiffID)
		if err != nil || got.Apparent < 0 || got.Allocated < 0 || got.Inodes < 1 {
			t.Errorf("%+v, %v of %q", got, err, data)
		}
	})
	_ = u
}

// What is in the layers directory and is no layer does not hide the layers.
func TestLayersGoesOn(t *testing.T) {
	s := newStore(t)
	l := add(t, s, entry{"a", "x"})
	bad := add(t, s, entry{"b", "x"})
	want(t, "spoil", os.WriteFile(s.Path()+"/layers/"+bad.DiffID.Hex()+"/layer.json", []byte("{"), 0o600), nil)
	want(t, "spoil", os.Mkdir(s.Path()+"/layers/lost+found", 0o700), nil)
	all, err := s.Layers()
	want(t, "layers", all, []store.Layer{l})
	wantError(t, err, "layers/lost+found is no layer", "layer "+string(bad.DiffID)+": read ")
}

func TestLayerKeepsEverything(t *testing.T) {
	if options().Unprivileged {
		t.Skip("needs the privilege to make devices and change owners")
	}
	s := newStore(t)
	upper := tree.New(
		tree.Dir("."),
		tree.File("suid", "x", tree.Mode(0o4755), tree.Owner(1000, 1001), tree.Time(1)),
		tree.File("cap", "x", tree.Xattr("user.note", "hi")),
		tree.Symlink("link", "/etc/passwd"),
		tree.Char("null", 1, 3),
		tree.Fifo("fifo"),
		tree.Whiteout("gone"),
	)
	box := t.TempDir()
	want(t, "mkdir", os.Mkdir(box+"/upper", 0o755), nil)
	tree.Create(t, box+"/upper", upper)
	l, err := s.Seal(context.Background(), openDir(t, box), "upper", store.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	want(t, "archive", s.Archive(context.Background(), l.DiffID, &data), nil)
	s2 := newStore(t)
	l2, err := s2.AddLayer(context.Background(), &data, store.ApplyOptions{Expect: l.DiffID})
	want(t, "again", l2, l)
	want(t, "error", err, nil)
	lower, err := s2.Lower(l.DiffID)
	if err != nil {
		t.Fatal(err)
	}
	defer lower.Close()
	got := tree.Read(t, lower.Name()).Without(".")
	if diff := cmp.Diff(upper.Without("."), got); diff != "" {
		t.Error(diff)
	}
}
