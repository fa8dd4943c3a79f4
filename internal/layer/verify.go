// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"strata/internal/oci"
)

// VerifyOptions say how a tree was made, and who hears what is wrong with it.
type VerifyOptions struct {
	Marks

	// Unprivileged and UserNamespace are what Apply was given.
	Unprivileged, UserNamespace bool
	// Sealed: Write has described the tree, and Apply has not made it. It may hold
	// what Write leaves out: parts of seconds, sockets, marks of the kernel.
	Sealed bool
	Epoch  *time.Time // what Write was given

	// Since is when the tree was finished, to find the files that were changed later.
	Since time.Time
	// Scratch is a directory of the same filesystem, or nil. A nameless file is made
	// in it where the tree has another time than the archive, to see which times the
	// filesystem can hold.
	Scratch *os.File
	// Report is called for each difference.
	Report func(Difference)
}

// A Difference is one between a tree and the archive that it was made from.
type Difference struct {
	Path string // in the layer
	What string // is wrong with it
}

func (d Difference) String() string { return show(d.Path) + ": " + d.What }

// Verified is what Verify found the archive to be.
type Verified struct {
	// Info is that of the archive as it is made again now. The DiffID is "" where
	// files are missing or have another size; Report has them.
	Info
	Implied []string          // as ApplyOptions.Implied had them, in order
	Linked  map[string]string // as ApplyOptions.Linked had them
	Later   []string          // files that were changed after Since: suspects, where only the digest differs
}

// Verify makes the archive again of which dir was made, as Rebuild does, and
// compares everything else of the tree with what the archive's headers say: what
// there is, of which kind, owners, modes, times, extended attributes, links,
// devices and overlay's marks. Memory is taken for each entry, about two hundred
// bytes and its name.
//
// What differs goes to Report and is no error; a record that cannot be read is.
// The record is read twice if the archive replaced files of its own.
func Verify(ctx context.Context, dir *os.File, record io.ReadSeeker, opts VerifyOptions) (Verified, error) {
	defer runtime.KeepAlive(dir) // its descriptor is used bare
	start, err := record.Seek(0, io.SeekCurrent)
	if err != nil {
		return Verified{}, fmt.Errorf("read record: %w", err)
	}
	v, s, err := replayed(ctx, int(dir.Fd()), record, nil, opts)
	if errors.Is(err, errKept) {
		v, s, err = replayedKept(ctx, int(dir.Fd()), record, start, opts)
	}
	if err != nil {
		return Verified{}, err
	}
	s.finish()
	for n := range s.implied {
		v.Implied = append(v.Implied, s.path(n))
	}
	slices.Sort(v.Implied)
	v.Linked = maps.Clone(s.links)
	err = compare(ctx, int(dir.Fd()), s, &v, opts)
	return v.Verified, err
}

// made is an archive as it was made again.
type made struct {
	Verified
	broken error // why it could not
}

// replayedKept is replayed for a record with kept frames, which are looked for
// first.
func replayedKept(ctx context.Context, dir int, record io.ReadSeeker, start int64, opts VerifyOptions) (made, *shadow, error) {
	rewind := func() error {
		_, err := record.Seek(start, io.SeekStart)
		return err
	}
	if err := rewind(); err != nil {
		return made{}, nil, fmt.Errorf("read record: %w", err)
	}
	kept, err := readKept(ctx, record)
	if err == nil {
		defer kept.close()
		err = rewind()
	}
	if err != nil {
		return made{}, nil, fmt.Errorf("read record: %w", err)
	}
	return replayed(ctx, dir, record, kept, opts)
}

// replayed makes the archive again and reads its headers meanwhile.
func replayed(ctx context.Context, dir int, record io.Reader, kept *keptContent, opts VerifyOptions) (v made, s *shadow, err error) {
	f, err := openRecord(record)
	if err != nil {
		return v, nil, fmt.Errorf("read record: %w", err)
	}
	sum := sha256.New()
	s = newShadow(opts)
	r := &replay{ctx: ctx, frames: f, kept: kept, dir: newDirectory(dir), out: writeBehind(sum, writeSize), fd: -1, shadow: s}
	err = r.run(s, &v.Info)
	r.close()
	r.dir.close()
	r.out.Close() // a digest takes everything
	v.ArchiveSize, v.broken, v.Later = r.size, r.broken, r.later
	if r.broken == nil {
		v.DiffID = oci.FromSum(sum.Sum(nil))
	}
	return v, s, err
}

func (r *replay) run(s *shadow, info *Info) error {
	in := tar.NewReader(r)
	for {
		hdr, err := in.Next()
		if err == io.EOF {
			return r.drain()
		}
		if r.failed != nil { // the tar reader may say something else of it
			return r.failed
		}
		if err != nil {
			return fmt.Errorf("read the archive that the record makes, at byte %d: %w", r.size, err)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		info.add(hdr.ModTime)
		if err := s.limited(hdr, info.Entries); err != nil {
			return entryError(hdr.Name, err)
		}
		if isContent(hdr) {
			info.ContentSize += hdr.Size
		}
		if err := s.entry(hdr, func() (*[32]byte, error) { return sumOf(in) }); err != nil {
			return entryError(hdr.Name, err)
		}
	}
}

// limited refuses what Apply would have refused: a record that makes a bomb is
// none of ours.
func (s *shadow) limited(hdr *tar.Header, entries int) error {
	if err := over("entries", max(entries, len(s.nodes)), s.limit.Entries); err != nil {
		return err
	}
	return over("bytes in files", hdr.Size, s.limit.Bytes)
}

func sumOf(r io.Reader) (*[32]byte, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return nil, err
	}
	return (*[32]byte)(hash.Sum(nil)), nil
}

// isContent reports whether Info counts the bytes of an entry: those of a file
// that is placed.
func isContent(hdr *tar.Header) bool {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		means, _, err := classify(hdr.Name)
		return err == nil && means == plain
	}
	return false
}
