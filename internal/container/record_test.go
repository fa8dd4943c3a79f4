// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

func fullRecord() Record {
	return Record{
		Version: formatVersion, ID: NewID(), Name: "name", Created: time.Unix(1_600_000_000, 0).UTC(), Image: "debian:12",
		ImageID: oci.FromBytes([]byte("config")), Manifest: oci.FromBytes([]byte("manifest")),
		Layers: []oci.Digest{oci.FromBytes([]byte("layer"))}, Sealing: oci.FromBytes([]byte("layer")),
		Config:     oci.Config{Env: []string{"A=1"}, Cmd: []string{"sh"}},
		Host:       Host{Hostname: "box", Network: "none", Mounts: []Mount{{Type: "bind", Source: "/a", Target: "/b", Options: []string{"ro"}}}},
		AutoRemove: true,
	}
}

func TestRecordRoundTrip(t *testing.T) {
	want := fullRecord()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRecord(data, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBadRecords checks that a record that is not this container's, or not of
// this version, is an error.
func TestBadRecords(t *testing.T) {
	id := NewID()
	for name, data := range map[string]string{
		"empty": "", "cut": `{"version":1,"id":"` + id, "not an object": `[]`, "null": `null`, "text": "hello",
		"no version": `{"id":"` + id + `"}`, "newer": `{"version":99,"id":"` + id + `"}`,
		"another's": `{"version":1,"id":"` + NewID() + `"}`, "no id": `{"version":1}`, "wrong type": `{"version":"1"}`,
		"trailing": `{"version":1,"id":"` + id + `"} x`,
	} {
		if _, err := parseRecord([]byte(data), id); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
}

// TestHostileRecordFiles checks what is found in place of a record.
func TestHostileRecordFiles(t *testing.T) {
	cs, _ := newContainers(t)
	r := create(t, cs, Record{Name: "one"})
	path := filepath.Join(cs.dir, r.ID, recordFile)
	for name, place := range map[string]func() error{
		"directory": func() error { return os.Mkdir(path, 0o700) },
		"link":      func() error { return os.Symlink("/etc/passwd", path) },
		"endless":   func() error { return os.Symlink("/dev/zero", path) },
		"huge": func() error {
			f, err := os.Create(path)
			if err == nil {
				err = f.Truncate(maxRecord + 1)
				f.Close()
			}
			return err
		},
	} {
		os.RemoveAll(path)
		if err := place(); err != nil {
			t.Fatal(err)
		}
		if _, err := cs.Entry("one"); err == nil {
			t.Errorf("%s in place of a record is read", name)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	id := strings.Repeat("0123456789abcdef", 4) // the same in every worker
	full := fullRecord()
	full.ID = id
	data, err := json.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"id":"` + id + `"}`))
	f.Add([]byte(`{"version":1,"id":"` + id + `","created":"0000-01-01T00:00:00Z","layers":["sha256:x"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data, id)
		if err != nil {
			return
		}
		if r.ID != id || r.Version != formatVersion {
			t.Fatalf("accepted %+v", r)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := parseRecord(again, id); err != nil || !cmp.Equal(r, second) {
			t.Fatalf("%v: %s", err, cmp.Diff(r, second))
		}
		_ = r.DisplayName()
	})
}

func FuzzParseState(f *testing.F) {
	data, err := json.Marshal(NewRunning(os.Getpid(), time.Now().UTC()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"status":"exited","exitCode":3,"finished":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"status":"running","pid":-1,"ticks":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data, NewID())
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := parseState(again, NewID()); err != nil || !cmp.Equal(s, second) {
			t.Fatalf("%v: %s", err, cmp.Diff(s, second))
		}
		s.Alive()
		_ = s.ExitText()
	})
}
