// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/linux"
	"strata/internal/oci"
)

// LayerIDs lists the layers that there are, whatever their records are like.
func (s *Store) LayerIDs() ([]oci.Digest, error) {
	entries, err := s.list(layerDir)
	if err != nil {
		return nil, err
	}
	var ids []oci.Digest
	for _, e := range entries {
		if id, err := oci.ParseDigest("sha256:" + e.Name); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Has reports whether there is a layer, whatever its record is like.
func (s *Store) Has(id oci.Digest) bool {
	_, err := linux.Lstat(s.fd(), pathOf(id)+"/"+treeName)
	return err == nil
}

// TrashLayer removes a layer. The caller holds the exclusive lock, and knows that
// nothing refers to it.
func (s *Store) TrashLayer(id oci.Digest) error {
	return ignoreNotExist(s.Trash(s.root, pathOf(id)))
}

// CheckStaging reports the staging directories whose makers are gone. One without
// a lock may have a maker who is about to take it, with the store's lock shared:
// so that is looked at while nobody has it. If somebody always has, they are for
// another time.
func (s *Store) CheckStaging(report fault.Report) error {
	entries, err := s.list(stagingDir)
	if err != nil || len(entries) == 0 {
		return err
	}
	lock, err := s.tryExclusive()
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, e := range entries {
		name := stagingDir + "/" + e.Name
		free, err := s.isFree(name)
		if err != nil {
			report(fault.Fault{Object: name, What: "it cannot be looked at: " + cause(err).Error(), Todo: "remove it as the user whose it is"})
		}
		if free {
			report(fault.Fault{
				Object: name, What: "whoever made it is gone", Leftover: true, Cure: fault.Trash,
				Mend: func() error { return s.trashStaging(name) },
			})
		}
	}
	return nil
}

// turns is how often tryExclusive tries, one turn apart.
const turns = 50

// tryExclusive is Exclusive that gives up after a second.
func (s *Store) tryExclusive() (lock *durable.Lock, err error) {
	for range turns {
		if lock, err = s.lock(durable.TryExclusive); !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
		time.Sleep(turn)
	}
	return nil, err
}

// isFree reports whether nobody has the lock of a directory that is there.
func (s *Store) isFree(name string) (bool, error) {
	dir, err := s.open(name, unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	locked, err := durable.IsLocked(dir)
	return err == nil && !locked, err
}

// cause is an error without the path, which the line has already.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (s *Store) trashStaging(name string) error {
	lock, err := s.Exclusive()
	if err != nil {
		return err
	}
	defer lock.Close()
	free, err := s.isFree(name)
	if err != nil || !free {
		return err
	}
	return ignoreNotExist(s.Trash(s.root, name))
}
