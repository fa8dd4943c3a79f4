// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestSubordinateIDs(t *testing.T) {
	const file = "alice:100000:65536\n# bob:1:1\nbob:nonsense\n1000:300000:10\n alice:200000:5 \nalice:7:0\n\n::\n"
	cases := map[string]struct {
		text, name string
		uid        uint32
		want       []IDRange
		err        string
	}{
		"by name and by uid": {file, "alice", 1000, []IDRange{{100000, 65536}, {300000, 10}, {200000, 5}}, ""},
		"by uid only":        {file, "", 1000, []IDRange{{300000, 10}}, ""},
		"nobody":             {file, "", 7, nil, ""},
		"own line is wrong":  {file, "bob", 7, nil, "OWNER:FIRST:COUNT"},
		"too many":           {"a:4294967295:1\n", "a", 7, nil, "OWNER:FIRST:COUNT"},
		"the last id":        {"a:4294967294:1", "a", 7, []IDRange{{math.MaxUint32 - 1, 1}}, ""},
		"negative":           {"a:-1:5\n", "a", 7, nil, "OWNER:FIRST:COUNT"},
	}
	for name, c := range cases {
		got, err := parseSubordinateIDs(strings.NewReader(c.text), c.name, c.uid)
		if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.err != "") {
			t.Errorf("%s: got %v, %v; want %v, %q", name, got, err, c.want, c.err)
		}
	}
}

func TestMapSubordinate(t *testing.T) {
	got := MapSubordinate(1000, []IDRange{{100000, 65536}, {5, 10}})
	want := []IDMap{{0, 1000, 1}, {1, 100000, 65536}, {65537, 5, 10}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if id, ok := OutsideID(got, 65538); id != 6 || !ok {
		t.Errorf("65538 is %d outside, %v; want 6", id, ok)
	}
	if id, ok := OutsideID(got, 65547); ok {
		t.Errorf("65547 is %d outside, want none", id)
	}
	again, err := parseIDMaps(string(FormatIDMaps(got)))
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("formatted and read: %v, %v", again, err)
	}
}

func TestReadIDMaps(t *testing.T) {
	if maps, err := ReadIDMaps("/proc/self/uid_map"); err != nil || len(maps) == 0 {
		t.Errorf("own map: %v, %v", maps, err)
	}
	for _, bad := range []string{"0 0\n", "0 0 4294967296\n", "a b c\n"} {
		if maps, err := parseIDMaps(bad); err == nil {
			t.Errorf("%q gives %v", bad, maps)
		}
	}
}

func FuzzSubordinateIDs(f *testing.F) {
	f.Add("alice:100000:65536\n1000:1:1\n", "alice", uint32(1000))
	f.Fuzz(func(t *testing.T, text, name string, uid uint32) {
		ranges, err := parseSubordinateIDs(strings.NewReader(text), name, uid)
		if err != nil {
			return
		}
		next := uint64(0)
		for _, m := range MapSubordinate(uid, ranges) {
			if uint64(m.Inside) != next || m.Size == 0 || uint64(m.Outside)+uint64(m.Size) > math.MaxUint32+1 {
				t.Fatalf("%v gives %v", ranges, m)
			}
			next += uint64(m.Size)
		}
	})
}
