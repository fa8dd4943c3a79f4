// SPDX-License-Identifier: Apache-2.0

// Package store owns the directory that everything is kept in: its format, its
// locks, its layers and its trash. Nobody else knows a layer's path or form.
//
// A layer is a directory named by the diffID of its archive. It is made in a
// staging directory, put on disk, and renamed into place, never written again,
// and at last renamed into the trash. So every reader finds all of it or none
// of it, whatever was killed and whenever the power failed.
//
// Whoever adds a reference to layers (an image, a container) holds the store's
// shared lock from before he looks for them until the reference is on disk;
// Collect holds it exclusive while it decides what is garbage and renames that.
// The order of locks is: the store's, then a layer's.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/overlay"
)

// formatVersion is the version of the layout on disk (docs/format.md).
const formatVersion = 1

const (
	formatFile = "format.json"
	lockFile   = "lock"
	usernsFile = "userns" // package rootless's lock, in stores of ordinary users
	layerDir   = "layers"
	stagingDir = "staging"
	trashDir   = "trash"

	maxRecord = 64 << 10 // bytes of any of our JSON files
)

// directories are made with the store, parents first.
func directories() []string {
	return []string{
		layerDir, "images", "images/blobs", "images/blobs/sha256", "images/names", "images/starts",
		"containers", "names", stagingDir, trashDir, "mounts", "empty",
	}
}

// Options say how layers are kept; all users of one store give the same.
type Options struct {
	Marks        overlay.Marks // trusted.overlay.* or, rootless, user.overlay.*
	Unprivileged bool          // no chown
	// UserNamespace: devices cannot be made. It is the way of the whole store, in
	// which marks are in user.overlay.*.
	UserNamespace bool
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	root *os.File
	opts Options
}

// Open opens the store at path, and makes one of a directory that is not there
// or empty. A store that is not ours or that others may enter is refused
// (CVE-2021-41091), as is one of a newer format; then nothing is touched.
func Open(path string, opts Options) (*Store, error) {
	s, err := open(path, opts)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = ignoreExist(os.Mkdir(path, 0o700))
		}
		if err == nil {
			s, err = open(path, opts)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func open(path string, opts Options) (*Store, error) {
	root, err := linux.OpenDir(path)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root, opts: opts}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

// check costs a few system calls: it is on the way of every start.
func (s *Store) check() error {
	st, err := linux.Fstat(s.fd())
	if err != nil {
		return err
	}
	if uid := uint32(os.Geteuid()); st.Uid != uid {
		return s.foreign(st.Uid, uid)
	}
	if mode := st.Mode & 0o777; mode != 0o700 {
		return fmt.Errorf("its mode is %04o and not 0700: set-uid files of its layers are open to other users (CVE-2021-41091)", mode)
	}
	data, err := durable.ReadFile(s.root, formatFile, maxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return s.create()
	}
	if err != nil {
		return err
	}
	return s.checkFormat(data)
}

// foreign says whose the store is. A user namespace shows the ids that it does
// not have as one (user_namespaces(7), "overflowuid").
func (s *Store) foreign(owner, caller uint32) error {
	if s.opts.UserNamespace {
		return errors.New("it belongs to another user of the host: name a store of yours with --root or STRATA_ROOT")
	}
	return fmt.Errorf("it belongs to user %d and not to user %d: run strata as its owner, or name another store with --root", owner, caller)
}

// format is what create writes: {"format":1}, and in a user namespace in which
// attributes the marks are.
func (s *Store) format() []byte {
	if s.opts.Marks.UserXattr {
		return []byte(`{"format":1,"marks":"` + userMarks + `"}`)
	}
	return []byte(`{"format":1}`)
}

// userMarks is the value of marks for a store of which all marks are in
// user.overlay.*; none stands for trusted.overlay.*.
const userMarks = "user"

type formatRecord struct {
	Format int    `json:"format"`
	Marks  string `json:"marks"`
}

func (s *Store) checkFormat(data []byte) error {
	if string(data) == string(s.format()) { // the way of every start, without a parser
		return nil
	}
	var r formatRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read %s: %w; if no newer strata has used the store, remove the file: the next command writes it anew", formatFile, err)
	}
	switch {
	case r.Format > formatVersion:
		return fmt.Errorf("format %d is newer than this program, which knows %d; nothing was changed", r.Format, formatVersion)
	case r.Format != formatVersion:
		return fmt.Errorf("read %s: format %d is unknown", formatFile, r.Format)
	case r.Marks != "" && r.Marks != userMarks:
		return fmt.Errorf("read %s: marks %q are unknown", formatFile, r.Marks)
	case s.opts.Marks.UserXattr && r.Marks != userMarks:
		return errors.New("it was made by root of the host, whose marks on layers a user namespace cannot read: name another store with --root")
	case !s.opts.Marks.UserXattr && r.Marks == userMarks:
		return errors.New("it was made in a user namespace, by an ordinary user: run strata as its owner, or name another store with --root")
	}
	return nil
}

// create fills an empty directory, or one that an earlier create was killed in.
// The format comes last, so that a store with one is whole.
func (s *Store) create() error {
	entries, err := linux.ReadDir(s.fd())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name == formatFile { // somebody else has made the store meanwhile
			return s.check()
		}
		if e.Name != lockFile && e.Name != usernsFile && !slices.Contains(directories(), e.Name) && !durable.IsTemporary(e.Name) {
			return fmt.Errorf("it is no store and not empty: it holds %q", e.Name)
		}
	}
	for _, name := range directories() {
		if err := ignoreExist(unix.Mkdirat(s.fd(), name, 0o700)); err != nil {
			return &os.PathError{Op: "mkdir", Path: s.path(name), Err: err}
		}
	}
	if err := durable.SyncFS(s.root); err != nil {
		return err
	}
	return durable.WriteFile(s.root, formatFile, s.format(), 0o600)
}

// Close closes the store's directory. Locks and handles taken from it stay.
func (s *Store) Close() error { return s.root.Close() }

// Path is the path that the store was opened with.
func (s *Store) Path() string { return s.root.Name() }

// Dir opens a subdirectory that another package owns: "images", "containers",
// "names", "mounts" or "empty". The caller closes it.
func (s *Store) Dir(name string) (*os.File, error) { return s.open(name, unix.O_DIRECTORY) }

// Share waits for the store's lock, shared: as long as it is held nothing is
// collected. It is not taken twice by one caller who may meet a Collect of his
// own between.
func (s *Store) Share() (*durable.Lock, error) { return s.lock(durable.Share) }

// Exclusive waits until nobody shares the lock.
func (s *Store) Exclusive() (*durable.Lock, error) { return s.lock(durable.Exclusive) }

func (s *Store) lock(how func(*os.File) (*durable.Lock, error)) (*durable.Lock, error) {
	fd, err := linux.OpenAt(s.fd(), lockFile, unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: s.path(lockFile), Err: err}
	}
	f := os.NewFile(uintptr(fd), s.path(lockFile))
	lock, err := how(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lock, nil
}

func (s *Store) fd() int { return int(s.root.Fd()) }

func (s *Store) path(name string) string { return s.root.Name() + "/" + name }

// open opens a path of ours in the store for reading.
func (s *Store) open(name string, flags int) (*os.File, error) { return openIn(s.root, name, flags) }

func openIn(dir *os.File, name string, flags int) (*os.File, error) {
	path := dir.Name() + "/" + name
	fd, err := linux.OpenAt(int(dir.Fd()), name, flags|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func ignoreExist(err error) error {
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
