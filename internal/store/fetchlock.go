// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/oci"
)

// TryFetch takes the lock of whoever is fetching the layer id, durable.ErrLocked
// if somebody is. Who has it looks for the layer again before he fetches it, and
// keeps it until the layer is published. Layers that begin with the same 63 bits
// share a lock.
func (s *Store) TryFetch(id oci.Digest) (*durable.ByteLock, error) {
	return s.fetchLock(id, durable.TryByte)
}

// WaitFetch is TryFetch that waits. Who waits holds no other such lock, or two
// could wait for each other.
func (s *Store) WaitFetch(id oci.Digest) (*durable.ByteLock, error) {
	return s.fetchLock(id, durable.Byte)
}

func (s *Store) fetchLock(id oci.Digest, take func(f *os.File, at int64) (*durable.ByteLock, error)) (*durable.ByteLock, error) {
	first, err := hex.DecodeString(id.Hex()[:16])
	if err != nil {
		return nil, err
	}
	f, err := s.open(lockFile, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, err
	}
	lock, err := take(f, int64(binary.BigEndian.Uint64(first)>>1))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lock, nil
}
