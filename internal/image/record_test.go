// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/disk"
	"strata/internal/image"
	"strata/internal/linux"
	"strata/internal/oci"
)

// nameFile finds the file of the only name.
func nameFile(t testing.TB, root string) string {
	t.Helper()
	files, err := filepath.Glob(root + "/names/*")
	if err != nil || len(files) != 1 {
		t.Fatalf("names: %v, %v", files, err)
	}
	return files[0]
}

func TestHostileRecords(t *testing.T) {
	images, root := newImages(t)
	img := add(t, images, "one", "app")
	path := nameFile(t, root)
	good, err := os.ReadFile(path)
	want(t, "read", err, nil)
	replace := func(old, new string) func() error {
		return func() error { return os.WriteFile(path, []byte(strings.Replace(string(good), old, new, 1)), 0o600) }
	}
	for name, c := range map[string]struct {
		spoil func() error
		want  string
	}{
		"empty":         {func() error { return os.WriteFile(path, nil, 0o600) }, "unexpected end of JSON"},
		"null":          {func() error { return os.WriteFile(path, []byte("null"), 0o600) }, "version 0, not 1"},
		"newer":         {replace(`"version":1`, `"version":2`), "version 2 is newer than this program, which knows 1"},
		"another name":  {replace("app", "other"), "it names docker.io/library/other:latest, whose file is another"},
		"no name":       {replace(`"name"`, `"nam"`), "no name"},
		"hostile name":  {replace("docker.io/library/app", "../../etc/passwd"), `reference "../../etc/passwd:latest"`},
		"no manifest":   {replace(`"manifest"`, `"manifes"`), "no manifest"},
		"a path":        {replace(img.Manifest.String(), "sha256:../../../../etc/passwd"), "not a digest"},
		"too large":     {replace("{", strings.Repeat(" ", 5000)+"{"), "file too large"},
		"a directory":   {func() error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a link":        {func() error { return os.Symlink("/etc/passwd", path) }, "too many levels of symbolic links"},
		"a FIFO":        {func() error { return unix.Mkfifo(path, 0o600) }, "unexpected end of JSON"},
		"a config":      {replace(img.Manifest.String(), img.ID.String()), "parse manifest: "},
		"gone manifest": {replace(img.Manifest.String(), oci.FromBytes(nil).String()), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, "remove", os.RemoveAll(path), nil)
			want(t, "spoil", c.spoil(), nil)
			_, err := images.Resolve("app")
			wantError(t, err, "image app: ", c.want)
			if name != "a config" && name != "gone manifest" { // those name the blob
				wantError(t, err, path)
			}
			var unknown *image.UnknownError
			want(t, "taken for unknown", errors.As(err, &unknown), false)
			_, err = images.All()
			wantError(t, err, c.want)
		})
	}
}

func FuzzNameRecord(f *testing.F) {
	images, root := newImages(f)
	add(f, images, "one", "app")
	path := nameFile(f, root)
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), "", "null", "[]", `{"version":1}`, `{"version":1,"name":"app","manifest":"sha256:.."}`,
		strings.Replace(string(good), ":latest", "@"+oci.FromBytes(nil).String(), 1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		img, err := images.Resolve("app")
		if err == nil && img.Names[0] != ref(t, "app:latest") {
			t.Errorf("%q: resolved to %v", data, img.Names)
		}
		if err != nil && !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), "blob sha256:") {
			t.Errorf("%q: the error names no file: %v", data, err)
		}
		images.All()
	})
}

// FuzzBlobs: whatever stands in the files of blobs, only bytes that have the
// digest are ever parsed.
func FuzzBlobs(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`), []byte("{}"))
	f.Add([]byte("null"), []byte("null"))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		images, root := newImages(t)
		img := add(t, images, "one", "app")
		for digest, data := range map[oci.Digest][]byte{img.Manifest: manifest, img.ID: config} {
			if err := os.WriteFile(root+"/blobs/sha256/"+digest.Hex(), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := images.Resolve("app"); err == nil || !strings.Contains(err.Error(), img.Manifest.Hex()) {
			t.Errorf("resolved with %q and %q: %v", manifest, config, err)
		}
	})
}

// A hostile image: the documents hang together but say strange things.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":[]}}`))
	f.Add([]byte(`{"config":{"Env":null},"rootfs":{"type":"layers"},"history":[{"empty_layer":true}]}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		images, _ := newImages(t)
		img, err := images.AddConfig(config, nil)
		if err != nil {
			wantError(t, err, "add image sha256:")
			return
		}
		if err := images.Tag(img, ref(t, "app")); err != nil {
			t.Fatal(err)
		}
		got, err := images.Resolve("app")
		if err != nil || got.ID != oci.FromBytes(config) {
			t.Errorf("%q: %v", config, err)
		}
	})
}

// What Add and Tag wrote survives a power failure: the filesystem is shut down
// without writing its journal, and mounted again.
func TestPowerFailure(t *testing.T) {
	if !disk.OwnMounts(t) {
		return
	}
	d := disk.New(t, "32M")
	for _, name := range []string{"blobs/sha256", "names", "starts"} {
		want(t, "mkdir", os.MkdirAll(filepath.Join(d.Dir, name), 0o700), nil)
	}
	unix.Sync()
	img := addIn(t, d.Dir)
	if err := d.Fail(); err != nil {
		t.Skip(err)
	}
	d.Restart()
	root, err := linux.OpenDir(d.Dir)
	want(t, "open", err, nil)
	defer root.Close()
	got, err := image.Open(root).Resolve("app")
	want(t, "resolve", err, nil)
	want(t, "image", got.ID, img.ID)
}

func addIn(t *testing.T, dir string) image.Image {
	t.Helper()
	root, err := linux.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return add(t, image.Open(root), "one", "app")
}

func BenchmarkResolve(b *testing.B) {
	images, _ := newImages(b)
	add(b, images, "one", "app")
	for b.Loop() {
		if _, err := images.Resolve("app"); err != nil {
			b.Fatal(err)
		}
	}
}
