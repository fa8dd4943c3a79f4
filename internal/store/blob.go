// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"strata/internal/oci"
)

// blobPrefix and the hex of a digest make the name of a file in a layer's
// directory: the layer's archive as it came, compressed. Compressing the archive
// anew gives other bytes, and so another digest.
const blobPrefix = "blob-"

// BlobOptions say what is known of a layer's blob.
type BlobOptions struct {
	ApplyOptions
	Digest oci.Digest // that it must have, if known
	Size   int64      // bytes that it must have, if the digest is known
	// Decompress reads what a blob holds, and tells whether it is compressed.
	Decompress func(io.Reader) (content io.ReadCloser, compressed bool, err error)
}

// A Blob describes a layer's archive as it came.
type Blob struct {
	Digest oci.Digest
	Size   int64 // bytes
}

// A BlobError is a blob that is not what it was said to be.
type BlobError struct {
	Want, Got Blob // of Got the digest may be unknown
}

func (e *BlobError) Error() string {
	switch {
	case e.Got.Size > e.Want.Size:
		return fmt.Sprintf("blob %s: it is longer than the %d bytes that it should have", e.Want.Digest, e.Want.Size)
	case e.Got.Size < e.Want.Size:
		return fmt.Sprintf("blob %s: it ends after %d of %d bytes", e.Want.Digest, e.Got.Size, e.Want.Size)
	}
	return fmt.Sprintf("blob %s: its content has the digest %s", e.Want.Digest, e.Got.Digest)
}

// ApplyBlob is Apply of an archive that may be compressed. Then the blob is kept
// with the layer. It is read to its end, and a *BlobError is among the causes if
// it is not the right one.
func (st *Staging) ApplyBlob(ctx context.Context, blob io.Reader, opts BlobOptions) (Layer, Blob, error) {
	fail := func(err error) (Layer, Blob, error) {
		return Layer{}, Blob{}, fmt.Errorf("apply layer%s: %w", known(opts.Expect), err)
	}
	dir, err := st.newLayer()
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	k := newKeeper(dir, blob, opts)
	l, err := st.applyKept(ctx, dir, k, opts)
	var b Blob
	if err == nil {
		b, err = k.finish(l.DiffID)
	}
	if err = errors.Join(err, k.close()); err != nil {
		return fail(err)
	}
	st.add(dir, l)
	return l, b, nil
}

func (st *Staging) applyKept(ctx context.Context, dir *os.File, k *keeper, opts BlobOptions) (l Layer, err error) {
	archive, compressed, err := opts.Decompress(k)
	if err == nil {
		if err = k.decide(compressed); err == nil {
			l, err = st.applyTo(ctx, dir, archive, opts.ApplyOptions)
		}
		archive.Close() // which may read the blob until then
	}
	if err == nil {
		_, err = io.Copy(io.Discard, k) // what follows the compressed archive is of the blob too
	}
	return l, k.blame(err)
}

// A keeper reads a blob, and keeps what it reads in a file of the layer's
// directory if it is compressed. Until that is known it keeps it in memory.
type keeper struct {
	blob io.Reader
	want *Blob // nil: not known
	dir  *os.File

	mu      sync.Mutex // who decompresses reads ahead, before decide is called
	decided bool
	head    []byte
	file    *os.File // nil: not kept
	sum     hash.Hash
	size    int64
	err     error // of the blob, io.EOF at its end
}

func newKeeper(dir *os.File, blob io.Reader, opts BlobOptions) *keeper {
	k := &keeper{blob: blob, dir: dir, sum: sha256.New()}
	if opts.Digest != "" {
		k.want = &Blob{opts.Digest, opts.Size}
	}
	return k
}

func (k *keeper) Read(p []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.blob.Read(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.size += int64(n)
	if k.want != nil && k.size > k.want.Size {
		n, err = 0, k.wrong()
	}
	if keepErr := k.keep(p[:n]); keepErr != nil {
		err = keepErr
	}
	k.err = err
	return n, err
}

func (k *keeper) keep(p []byte) error {
	if !k.decided {
		k.head = append(k.head, p...)
		return nil
	}
	if k.file == nil {
		return nil
	}
	k.sum.Write(p)
	_, err := k.file.Write(p)
	return err
}

// decide is called when it is known whether the blob is compressed.
func (k *keeper) decide(compressed bool) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.decided = true
	if compressed {
		if k.file, err = openIn(k.dir, blobPrefix, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL); err != nil {
			return err
		}
	}
	head := k.head
	k.head = nil
	return k.keep(head)
}

// blame is the blob's own error where that is why it could not be applied: what is
// damaged is said to be, and not what came of it.
func (k *keeper) blame(err error) error {
	var errno unix.Errno
	if err != nil && k.want != nil && k.file != nil && !errors.As(err, &errno) && !errors.Is(err, context.Canceled) {
		io.Copy(io.Discard, k) // what it gives is in k.err
		if got := oci.FromSum(k.sum.Sum(nil)); k.size == k.want.Size && got != k.want.Digest {
			return &BlobError{Want: *k.want, Got: Blob{got, k.size}}
		}
	}
	if wrong := k.wrong(); wrong != nil {
		return wrong
	}
	return err
}

// wrong is a *BlobError for a blob that has been read further than it should go,
// or has ended too early. The digest is finish's to compare.
func (k *keeper) wrong() error {
	if k.want == nil || k.size == k.want.Size || k.size < k.want.Size && k.err != io.EOF {
		return nil
	}
	return &BlobError{Want: *k.want, Got: Blob{Size: k.size}}
}

// finish compares the digest and gives the file its name.
func (k *keeper) finish(diffID oci.Digest) (Blob, error) {
	b := Blob{Digest: diffID, Size: k.size}
	if k.file != nil {
		b.Digest = oci.FromSum(k.sum.Sum(nil))
	}
	if k.want != nil && b != *k.want {
		return b, &BlobError{Want: *k.want, Got: b}
	}
	if k.file == nil {
		return b, nil
	}
	err := unix.Renameat(int(k.dir.Fd()), blobPrefix, int(k.dir.Fd()), blobPrefix+b.Digest.Hex())
	return b, os.NewSyscallError("rename", err)
}

func (k *keeper) close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

// Blob opens the blob with the given digest that was kept with the layer id. The
// caller closes it. The error is os.ErrNotExist when there is none.
func (s *Store) Blob(id, blob oci.Digest) (*os.File, error) {
	return s.open(pathOf(id)+"/"+blobPrefix+blob.Hex(), unix.O_RDONLY)
}
