// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"strata/internal/durable"
	"strata/internal/linux"
)

// newBatch makes a batch that the test's end closes, on a directory.
func newBatch(t *testing.T) (*durable.Batch, *os.File) {
	t.Helper()
	dir := open(t, t.TempDir())
	b := durable.NewBatch(dir)
	t.Cleanup(func() { want(t, "close", b.Close(), nil) })
	return b, dir
}

func content(dir *os.File, name string) string {
	data, err := os.ReadFile(filepath.Join(dir.Name(), name))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	return string(data)
}

// Nothing has its name before Commit, and then each step finds what those before
// it made.
func TestBatchKeepsTheOrder(t *testing.T) {
	b, dir := newBatch(t)
	want(t, "old", durable.WriteFile(dir, "a", []byte("old"), 0o600), nil)
	look := func(a, c string) {
		b.Do(func() error {
			want(t, "a", content(dir, "a"), a)
			want(t, "c", content(dir, "c"), c)
			return nil
		}, dir)
	}
	look("old", "none")
	want(t, "write a", b.WriteFile(dir, "a", []byte("first"), 0o600), nil)
	look("first", "none")
	want(t, "write c", b.WriteFile(dir, "c", []byte("second"), 0o640), nil)
	look("first", "second")
	b.Relax()
	want(t, "write a again", b.WriteFile(dir, "a", []byte("last"), 0o600), nil)
	want(t, "before", content(dir, "a"), "old")
	want(t, "commit", b.Commit(), nil)
	want(t, "after", content(dir, "a"), "last")
	want(t, "entries", len(names(t, dir)), 2)
	st, err := linux.Lstat(int(dir.Fd()), "c")
	want(t, "error", err, nil)
	want(t, "mode", st.Mode&0o777, 0o640)
}

func TestBatchStopsAtTheFirstError(t *testing.T) {
	for _, relaxed := range []bool{false, true} {
		b, dir := newBatch(t)
		want(t, "write", b.WriteFile(dir, "before", nil, 0o600), nil)
		no := errors.New("no")
		b.Do(func() error { return no })
		if relaxed {
			b.Relax()
		}
		want(t, "write", b.WriteFile(dir, "after", nil, 0o600), nil)
		want(t, "commit", b.Commit(), no)
		want(t, "close", b.Close(), nil)
		want(t, "entries", names(t, dir), []string{"before"})
	}
}

// A batch that is not committed leaves nothing, and needs the caller's
// descriptor no longer than the call.
func TestBatchThatIsGivenUp(t *testing.T) {
	b, dir := newBatch(t)
	short, err := os.Open(dir.Name())
	want(t, "open", err, nil)
	want(t, "write", b.WriteFile(short, "a", []byte("x"), 0o600), nil)
	want(t, "close the directory", short.Close(), nil)
	entries := names(t, dir)
	want(t, "aside", len(entries) == 1 && durable.IsTemporary(entries[0]), true)
	want(t, "close", b.Close(), nil)
	want(t, "entries", names(t, dir), "[]")
	want(t, "no steps", b.Commit(), nil)
}

func TestBatchErrorsNameCallAndPath(t *testing.T) {
	b, dir := newBatch(t)
	want(t, "write", b.WriteFile(dir, "no/such", nil, 0o600), nil)
	err := b.Commit()
	want(t, "rename", errors.Is(err, os.ErrNotExist), true)
	short, err := os.Open(dir.Name())
	want(t, "open", err, nil)
	want(t, "close", short.Close(), nil)
	if err := b.WriteFile(short, "a", nil, 0o600); err == nil {
		t.Error("a closed directory was written to")
	}
}
