// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"strata/internal/oci"
)

// dirMembers is a directory. Links in it that lead out are not followed.
type dirMembers struct{ root *os.Root }

// OpenDir opens a directory that holds what an archive holds. The caller closes
// the reader.
func OpenDir(path string) (*Reader, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newReader(dirMembers{root}), nil
}

// open does not wait for who writes to a FIFO.
func (m dirMembers) open(name string) (io.ReadCloser, int64, error) {
	f, err := m.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// withoutPath takes a path that an archive has chosen out of an error.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (m dirMembers) layer(name string, diffID oci.Digest) (oci.Descriptor, error) {
	return describe(m, name, diffID)
}

func (m dirMembers) check(oci.Descriptor, oci.Digest) error { return nil }

func (m dirMembers) Close() error { return m.root.Close() }
