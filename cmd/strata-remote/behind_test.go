// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

func TestWriteBehind(t *testing.T) {
	want := make([]byte, 5*behindSize/2)
	for _, pieces := range []int{1, 1000, behindSize, len(want)} {
		rand.NewChaCha8([32]byte{}).Read(want)
		var got bytes.Buffer
		err := writeBehind(context.Background(), &got, func(w io.Writer) error {
			_, err := io.CopyBuffer(w, struct{ io.Reader }{bytes.NewReader(want)}, make([]byte, max(pieces, 100)))
			return err
		})
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("pieces of %d: %d bytes, %v", pieces, got.Len(), err)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteBehindErrors(t *testing.T) {
	lot := make([]byte, 20*behindSize)
	err := writeBehind(context.Background(), broken{}, func(w io.Writer) error {
		_, err := w.Write(lot)
		return err
	})
	if !errors.Is(err, errBroken) {
		t.Errorf("a write that fails: %v", err)
	}
	if err := writeBehind(context.Background(), broken{}, func(w io.Writer) error { _, err := w.Write(lot[:1]); return err }); !errors.Is(err, errBroken) {
		t.Errorf("the last write fails: %v", err)
	}
	if err := writeBehind(context.Background(), io.Discard, func(io.Writer) error { return errBroken }); !errors.Is(err, errBroken) {
		t.Errorf("the caller fails: %v", err)
	}
}

// A pipe that nobody reads does not keep the program.
func TestWriteBehindCancelled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close() // ends the write
	ctx, cancel := context.WithCancel(context.Background())
	err = writeBehind(ctx, w, func(w io.Writer) error {
		for range 10 {
			if _, err := w.Write(make([]byte, behindSize)); err != nil {
				return err
			}
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
