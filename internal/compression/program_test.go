// SPDX-License-Identifier: Apache-2.0

package compression

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
)

// long is more than any buffer on the way, and the same as gzip.
func long(t *testing.T) (content, compressed []byte) {
	content = make([]byte, 3<<20)
	rnd := rand.NewChaCha8([32]byte{})
	rnd.Read(content)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return content, b.Bytes()
}

// Each program that may be there, and gzip, which all machines have.
func eachProgram(t *testing.T, f func(t *testing.T, argv []string)) {
	for _, argv := range append([][]string{{"gzip", "-d", "-c"}}, gunzippers...) {
		t.Run(argv[0], func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			f(t, argv)
		})
	}
}

func TestProgram(t *testing.T) {
	content, compressed := long(t)
	lost := errors.New("the connection is lost")
	for name, c := range map[string]struct {
		stream io.Reader
		want   []byte
		err    string // "" for none
	}{
		"whole":      {bytes.NewReader(compressed), content, ""},
		"two":        {io.MultiReader(bytes.NewReader(compressed), bytes.NewReader(compressed)), append(content[:len(content):len(content)], content...), ""},
		"cut":        {bytes.NewReader(compressed[:len(compressed)/2]), nil, "damaged or cut off"},
		"wrong sum":  {bytes.NewReader(append(compressed[:len(compressed)-8:len(compressed)-8], "12345678"...)), nil, "gzip: "},
		"read error": {io.MultiReader(bytes.NewReader(compressed[:1<<20]), iotest.ErrReader(lost)), nil, lost.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := io.ReadAll(c.stream) // every program reads the same
			eachProgram(t, func(t *testing.T, argv []string) {
				stream := io.Reader(bytes.NewReader(data))
				if err != nil {
					stream = io.MultiReader(stream, iotest.ErrReader(err))
				}
				p, err := startProgram(argv, stream)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(p)
				if c.err == "" && (err != nil || !bytes.Equal(got, c.want)) {
					t.Errorf("%d bytes, %v; want %d", len(got), err, len(c.want))
				}
				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Who stops reading ends the process.
func TestProgramIsEnded(t *testing.T) {
	_, compressed := long(t)
	eachProgram(t, func(t *testing.T, argv []string) {
		p, err := startProgram(argv, bytes.NewReader(compressed))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p, make([]byte, 10)); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if p.cmd.ProcessState == nil {
			t.Error("the process has not ended")
		}
	})
}
