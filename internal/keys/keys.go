// SPDX-License-Identifier: Apache-2.0

// Package keys finds in what a person types the keys that are meant for us and
// not for the program.
package keys

import (
	"fmt"
	"strings"
)

// Detach are Docker's for leaving a program alone.
const Detach = "ctrl-p,ctrl-q"

// Parse turns keys as Docker writes them into the bytes that a terminal
// sends: letters and other single characters, or ctrl- and one of a-z @ [ \ ] ^
// and _, with commas between. Empty is Detach, as it is for Docker.
func Parse(text string) ([]byte, error) {
	if text == "" {
		text = Detach
	}
	var keys []byte
	for name := range strings.SplitSeq(text, ",") {
		key, err := parseKey(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(name string) (byte, error) {
	if letter, isControl := strings.CutPrefix(strings.ToLower(name), "ctrl-"); isControl && len(letter) == 1 {
		if strings.Contains("@abcdefghijklmnopqrstuvwxyz[\\]^_", letter) {
			return letter[0] & 0x1f, nil // ASCII: control characters are the letters without three bits
		}
	}
	if len(name) == 1 && name[0] > ' ' && name[0] < 0x7f {
		return name[0], nil
	}
	return 0, fmt.Errorf("key %q: it is one character, or ctrl- and one of a-z @ [ \\ ] ^ _", name)
}

// A Scanner looks for a sequence of keys in what is typed. What may be the
// beginning of it is held back until it is known. Its zero value finds nothing.
type Scanner struct {
	keys []byte
	held int // how many of keys were typed last
}

// NewScanner makes a scanner for keys.
func NewScanner(keys []byte) *Scanner { return &Scanner{keys: keys} }

// Scan takes what was typed next and returns what of all so far is for the
// program. With found the sequence is complete, and rest is what follows it.
func (s *Scanner) Scan(typed []byte) (passed, rest []byte, found bool) {
	if len(s.keys) == 0 {
		return typed, nil, false
	}
	for i, key := range typed {
		// The longest beginning of the sequence that what was typed ends with: of
		// "aab", after "aa" another "a" leaves two of them held.
		for s.held > 0 && key != s.keys[s.held] {
			shorter := s.border()
			passed = append(passed, s.keys[:s.held-shorter]...)
			s.held = shorter
		}
		if key != s.keys[s.held] {
			passed = append(passed, key)
			continue
		}
		if s.held++; s.held == len(s.keys) {
			s.held = 0
			return passed, typed[i+1:], true
		}
	}
	return passed, nil, false
}

// border is the length of the longest beginning of the held keys, other than
// all, that is their end too.
func (s *Scanner) border() int {
	held := string(s.keys[:s.held])
	for n := s.held - 1; n > 0; n-- {
		if strings.HasSuffix(held, held[:n]) {
			return n
		}
	}
	return 0
}
