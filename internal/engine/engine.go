// SPDX-License-Identifier: Apache-2.0

// Package engine is what Strata does: one file for each use case, on the parts
// beneath. It prints nothing and decides no exit code.
package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"strata/internal/container"
	"strata/internal/image"
	"strata/internal/linux"
	"strata/internal/overlay"
	"strata/internal/store"
)

// An Engine is an open store with its images and containers. It is used by one
// goroutine; any number of processes may have one on the same store.
type Engine struct {
	store      *store.Store
	images     *image.Images
	imageDir   *os.File
	containers *container.Containers
	marks      overlay.Marks
	ids        *userIDs // nil: every id exists
	found      *foundFilter
	root       string
	// Trace, if set, is given the steps of the next start.
	Trace *Trace
}

// DefaultRoot is the store of the user who calls: STRATA_ROOT, or
// /var/lib/strata for root, or strata in the user's data directory, which it is
// for root of a user namespace too.
func DefaultRoot() string {
	if root := os.Getenv("STRATA_ROOT"); root != "" {
		return root
	}
	if os.Geteuid() == 0 && !linux.InUserNamespace() {
		return "/var/lib/strata"
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(os.Getenv("HOME"), ".local/share")
	}
	return filepath.Join(data, "strata")
}

// Open opens the store at root, or makes it. The caller closes the engine.
func Open(root string) (*Engine, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	ids, err := ownIDs()
	if err != nil {
		return nil, err
	}
	marks := overlay.Marks{UserXattr: ids != nil}
	s, err := store.Open(root, store.Options{Marks: marks, Unprivileged: ids.single(), UserNamespace: ids != nil})
	if err != nil {
		return nil, err
	}
	dir, err := s.Dir("images")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Engine{
		store: s, images: image.Open(dir), imageDir: dir, marks: marks, ids: ids, root: root,
		containers: container.Open(filepath.Join(root, "containers"), filepath.Join(root, "names")),
	}, nil
}

// Close closes the store.
func (e *Engine) Close() error { return errors.Join(e.imageDir.Close(), e.store.Close()) }

// Root is the store's directory.
func (e *Engine) Root() string { return e.root }

// shared runs f with the store's shared lock: what f looks up is not collected
// before f has recorded that it refers to it.
func (e *Engine) shared(f func() error) error {
	lock, err := e.store.Share()
	if err != nil {
		return err
	}
	return errors.Join(f(), lock.Close())
}

// epoch is the time in SOURCE_DATE_EPOCH, in seconds of Unix time, or nil
// (reproducible-builds.org, "SOURCE_DATE_EPOCH specification").
func epoch() (*time.Time, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil, errors.New("SOURCE_DATE_EPOCH " + strconv.Quote(value) + ": it is not a number of seconds")
	}
	t := time.Unix(seconds, 0).UTC()
	return &t, nil
}
