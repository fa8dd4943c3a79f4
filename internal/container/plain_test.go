// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

func plainRecord() Record {
	return Record{
		Version: 1, ID: "0123456789ab", Name: "web", Created: time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC),
		Image: "debian", ImageID: oci.FromBytes(nil), Manifest: oci.FromBytes([]byte("m")), Rootfs: "/",
		Layers: []oci.Digest{oci.FromBytes([]byte("a")), oci.FromBytes([]byte("b"))},
		Config: oci.Config{User: "1:2", Env: []string{"A=b"}, Entrypoint: []string{"e"}, Cmd: []string{"sh", "-c", "exit 3"}, WorkingDir: "/w"},
		Host:   Host{Hostname: "0123", Network: "none", Terminal: true, OpenStdin: true, ReadOnly: true, Init: true}, AutoRemove: true,
	}
}

func plainState() State {
	return State{Status: Running, Pid: 17, BootID: "b", Ticks: 123456, Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Cgroup: "/strata"}
}

// What most containers have is read without reflection.
func TestPlainIsParsed(t *testing.T) {
	data, err := json.Marshal(plainRecord())
	if err != nil {
		t.Fatal(err)
	}
	got, ok := parsePlainRecord(data)
	if diff := cmp.Diff(plainRecord(), got); !ok || diff != "" {
		t.Errorf("record: %v, %s", ok, diff)
	}
	if data, err = json.Marshal(plainState()); err != nil {
		t.Fatal(err)
	}
	state, ok := parsePlainState(data)
	if diff := cmp.Diff(plainState(), state); !ok || diff != "" {
		t.Errorf("state: %v, %s", ok, diff)
	}
}

// Whatever is taken for plain means the same to encoding/json.
func FuzzPlain(f *testing.F) {
	r := plainRecord()
	for _, change := range []func(){
		func() {}, func() { r.Sealing = oci.FromBytes(nil) }, func() { r.Image = "a<b" }, func() { r.Config.Cmd = []string{} },
		func() { r.Host.CapAdd = []string{"ALL"} }, func() { r.Config.Labels = map[string]string{"a": "b"} }, func() { r.Name = "ä" },
	} {
		change()
		data, _ := json.Marshal(r)
		f.Add(data)
	}
	data, _ := json.Marshal(plainState())
	f.Add(data)
	f.Add([]byte(`{"version":1,"layers":["x"]}`))
	f.Add([]byte(`{"version":01}`))
	f.Add([]byte(`{"version":1,"version":2}{}`))
	f.Add([]byte(`{"config":{"Cmd":["a"],"Cmd":["b"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, ok := parsePlainRecord(data); ok {
			var want Record
			if err := json.Unmarshal(data, &want); err != nil || !cmp.Equal(want, r) {
				t.Errorf("record %q: %v\n%s", data, err, cmp.Diff(want, r))
			}
		}
		if s, ok := parsePlainState(data); ok {
			var want State
			if err := json.Unmarshal(data, &want); err != nil || !cmp.Equal(want, s) {
				t.Errorf("state %q: %v\n%s", data, err, cmp.Diff(want, s))
			}
		}
	})
}
