// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strata/internal/oci"
	"strata/internal/store"
)

func TestSeveralProcessesAddOneLayer(t *testing.T) {
	s := newStore(t)
	data := archive(t, entry{"a", strings.Repeat("x", 1<<20)}, entry{"b", "y"})
	file := filepath.Join(t.TempDir(), "archive")
	want(t, "write", os.WriteFile(file, data, 0o600), nil)
	var adders []*process
	for range 6 {
		adders = append(adders, start(t, "add", nil, s.Path(), file))
	}
	for _, p := range adders {
		want(t, "added", p.says(), fmt.Sprint(oci.FromBytes(data), " <nil>"))
		p.end()
	}
	want(t, "layers", entries(t, s.Path()+"/layers"), []string{oci.FromBytes(data).Hex()})
	want(t, "verify", s.Verify(context.Background(), oci.FromBytes(data)), nil)
	clean(t, s)
}

func TestSeveralProcessesMakeOneStore(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "archive")
	data := archive(t, entry{"a", "x"})
	want(t, "write", os.WriteFile(file, data, 0o600), nil)
	path := filepath.Join(root, "store")
	var adders []*process
	for range 6 {
		adders = append(adders, start(t, "add", nil, path, file))
	}
	for _, p := range adders {
		want(t, "added", p.says(), fmt.Sprint(oci.FromBytes(data), " <nil>"))
		p.end()
	}
}

func TestOneStagingForManyGoroutines(t *testing.T) {
	s := newStore(t)
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := st.Apply(context.Background(), bytesOf(t, fmt.Sprint("layer ", i/2)), store.ApplyOptions{})
			want(t, "apply", err, nil)
		})
	}
	all.Wait()
	want(t, "before", entries(t, s.Path()+"/layers"), "[]")
	want(t, "publish", st.Publish(), nil)
	want(t, "nothing left", st.Publish(), nil)
	want(t, "close", st.Close(), nil)
	want(t, "layers", len(entries(t, s.Path()+"/layers")), 4)
	clean(t, s)
}

func bytesOf(t testing.TB, content string) *strings.Reader {
	return strings.NewReader(string(archive(t, entry{"file", content})))
}

func TestKilledMakerIsCollected(t *testing.T) {
	s := newStore(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	maker := start(t, "stage", []*os.File{r}, s.Path())
	r.Close()
	want(t, "maker", maker.says(), "staged")
	data := archive(t, entry{"a", strings.Repeat("x", 1<<20)})
	if _, err := w.Write(data[:1<<18]); err != nil { // more than the pipe holds: the maker is at work
		t.Fatal(err)
	}
	got, err := s.Collect(context.Background(), nobody)
	want(t, "while it lives", fmt.Sprint(got.Staging, err), "0 <nil>")
	want(t, "staging", len(entries(t, s.Path()+"/staging")), 1)
	maker.kill()
	got, err = s.Collect(context.Background(), nobody)
	want(t, "when it is dead", fmt.Sprint(got.Staging, err), "1 <nil>")
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	clean(t, s)
}

func nobody() (map[oci.Digest]bool, error) { return nil, nil }

func TestCollect(t *testing.T) {
	s := newStore(t)
	used, kept, garbage := add(t, s, entry{"a", "xx"}), add(t, s, entry{"b", "xxx"}), add(t, s, entry{"c", "xxxx"})
	keeper := start(t, "keep", nil, s.Path(), string(kept.DiffID))
	want(t, "keeper", keeper.says(), "kept <nil>")
	inUse := func() (map[oci.Digest]bool, error) { return map[oci.Digest]bool{used.DiffID: true}, nil }
	got, err := s.Collect(context.Background(), inUse)
	want(t, "collected", fmt.Sprint(got, err), fmt.Sprint(store.Collected{Layers: []oci.Digest{garbage.DiffID}, Bytes: 4}, nil))
	keeper.kill()
	got, err = s.Collect(context.Background(), inUse)
	want(t, "collected", fmt.Sprint(got, err), fmt.Sprint(store.Collected{Layers: []oci.Digest{kept.DiffID}, Bytes: 3, Staging: 1}, nil))
	want(t, "left", entries(t, s.Path()+"/layers"), []string{used.DiffID.Hex()})
}

func TestCollectThatCannotKnowCollectsNothing(t *testing.T) {
	s := newStore(t)
	l := add(t, s, entry{"a", "x"})
	cause := errors.New("names/0123.json is damaged")
	_, err := s.Collect(context.Background(), func() (map[oci.Digest]bool, error) { return nil, cause })
	want(t, "cause", errors.Is(err, cause), true)
	want(t, "verify", s.Verify(context.Background(), l.DiffID), nil)
}

func TestCollectGoesOn(t *testing.T) {
	s := newStore(t)
	l := add(t, s, entry{"a", "x"})
	want(t, "spoil", os.Mkdir(s.Path()+"/layers/lost+found", 0o700), nil)
	got, err := s.Collect(context.Background(), nobody)
	want(t, "collected", got.Layers, []oci.Digest{l.DiffID})
	wantError(t, err, "collect: ", "layers/lost+found is no layer")
	want(t, "left", entries(t, s.Path()+"/layers"), "[lost+found]")
}

// playChurn is a small engine: references are files, added and removed under the
// shared lock, and each layer that is referred to must be there, whole.
func playChurn(s *store.Store, prefix string) error {
	for i := range 25 {
		name := fmt.Sprint(prefix, i%5)
		data, err := pack(entry{"file", fmt.Sprint("content ", i%5)}) // the same layers in every process
		if err != nil {
			return err
		}
		if err := refer(s, name, data); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := s.Verify(context.Background(), oci.FromBytes(data)); err != nil {
			return fmt.Errorf("%s refers to a layer that is gone: %w", name, err)
		}
		if err := os.Remove(s.Path() + "/names/" + name); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

func refer(s *store.Store, name string, data []byte) error {
	shared, err := s.Share()
	if err != nil {
		return err
	}
	defer shared.Close()
	l, err := s.AddLayer(context.Background(), strings.NewReader(string(data)), store.ApplyOptions{})
	if err != nil {
		return err
	}
	return os.WriteFile(s.Path()+"/names/"+name, []byte(l.DiffID), 0o600)
}

func references(s *store.Store) (map[oci.Digest]bool, error) {
	used := make(map[oci.Digest]bool)
	files, err := filepath.Glob(s.Path() + "/names/*")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			used[oci.Digest(data)] = true
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return used, err
}

// Collect may run at any time beside processes that add layers, all of them the
// same ones.
func TestCollectBesideAdders(t *testing.T) {
	s := newStore(t)
	var adders sync.WaitGroup
	for i := range 3 {
		p := start(t, "churn", nil, s.Path(), fmt.Sprint("p", i, "-"))
		adders.Go(func() { want(t, "adder", p.says(), "done") })
	}
	over := make(chan struct{})
	go func() { adders.Wait(); close(over) }()
	collected := 0
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
		}
		got, err := s.Collect(context.Background(), func() (map[oci.Digest]bool, error) { return references(s) })
		want(t, "collect", err, nil)
		want(t, "dead makers", got.Staging, 0)
		collected += len(got.Layers)
		_, err = s.Reap(context.Background())
		want(t, "reap", err, nil)
	}
	if collected < 5 {
		t.Errorf("only %d layers were ever collected: the test saw no race", collected)
	}
	want(t, "left", entries(t, s.Path()+"/layers"), "[]")
	clean(t, s)
}
