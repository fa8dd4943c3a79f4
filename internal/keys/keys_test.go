// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "\x10\x11",
		Detach:              "\x10\x11",
		"ctrl-@,ctrl-[":     "\x00\x1b",
		"CTRL-A":            "\x01",
		"ctrl-\\,ctrl-],d":  "\x1c\x1dd",
		"ctrl-^,ctrl-_,~,.": "\x1e\x1f~.",
		"a":                 "a",
	} {
		if got, err := Parse(text); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{",", "ctrl-", "ctrl-1", "ab", "ctrl-ab", "a,,b", " ", "é", "ctrl-p,"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

func TestScanner(t *testing.T) {
	for _, c := range []struct {
		keys, typed, passed string
		found               bool
	}{
		{"pq", "pq", "", true},
		{"pq", "xpqy", "x", true},
		{"pq", "pp", "p", false},
		{"pq", "ppq", "p", true},
		{"pq", "pxpq", "px", true},
		{"aab", "aaab", "a", true},
		{"abab", "ababab", "", true},
		{"abac", "ababac", "ab", true},
		{"", "pq", "pq", false},
		{"q", "abq", "ab", true},
		{"pq", "abc", "abc", false},
		{"pq", "pasted text with pq in it", "pasted text with ", true},
		{"pq", "p", "", false}, // held back until it is known
		{"pq", "pqpq", "", true},
	} {
		for chunk := 1; chunk <= len(c.typed); chunk++ { // however it is read
			s, passed, found := NewScanner([]byte(c.keys)), []byte(nil), false
			for rest := []byte(c.typed); len(rest) > 0 && !found; {
				n := min(chunk, len(rest))
				var p []byte
				p, _, found = s.Scan(rest[:n])
				passed, rest = append(passed, p...), rest[n:]
			}
			if string(passed) != c.passed || found != c.found {
				t.Errorf("keys %q, typed %q by %d: passed %q, found %v; want %q, %v", c.keys, c.typed, chunk, passed, found, c.passed, c.found)
			}
		}
	}
}

// TestScannerGoesOn checks that a scanner that has found its keys looks for them
// anew, and holds nothing of the first time.
func TestScannerGoesOn(t *testing.T) {
	s := NewScanner([]byte("pq"))
	passed, rest, found := s.Scan([]byte("apqqpqb"))
	if string(passed) != "a" || string(rest) != "qpqb" || !found {
		t.Fatalf("first: passed %q, rest %q, found %v", passed, rest, found)
	}
	passed, rest, found = s.Scan(rest)
	if string(passed) != "q" || string(rest) != "b" || !found {
		t.Errorf("second: passed %q, rest %q, found %v", passed, rest, found)
	}
}

// What is passed and what is held back are together what was typed before the
// sequence, and the sequence is found where it ends first.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x10\x11"), []byte("a\x10\x10\x11b"), 1)
	f.Add([]byte("aab"), []byte("aaaab"), 2)
	f.Fuzz(func(t *testing.T, keys, typed []byte, chunk int) {
		if len(keys) == 0 || chunk < 1 {
			return
		}
		s := NewScanner(keys)
		var passed []byte
		for rest := typed; len(rest) > 0; {
			n := min(chunk, len(rest))
			p, after, found := s.Scan(rest[:n])
			passed, rest = append(passed, p...), rest[n:]
			if found {
				before, behind, _ := bytes.Cut(typed, keys)
				if !bytes.Equal(passed, before) || !bytes.Equal(append(bytes.Clone(after), rest...), behind) {
					t.Fatalf("keys %q, typed %q: passed %q, want %q", keys, typed, passed, before)
				}
				return
			}
		}
		if bytes.Contains(typed, keys) {
			t.Fatalf("keys %q are in %q and were not found", keys, typed)
		}
		if all := append(passed, keys[:s.held]...); !bytes.Equal(all, typed) {
			t.Fatalf("keys %q, typed %q: passed and held %q", keys, typed, all)
		}
	})
}
