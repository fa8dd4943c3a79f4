// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
)

// keptContent is the content of files that an archive replaced itself, as the
// first pass over its record found it. Most archives have none.
type keptContent struct {
	spool *os.File // nameless; nil for none
	size  int64
	files map[string][]keptFile
}

type keptFile struct {
	number       int // of its frame
	offset, size int64
}

// readKept reads the record to its end. The caller closes what it returns.
func readKept(ctx context.Context, record io.Reader) (*keptContent, error) {
	f, err := openRecord(record)
	if err != nil {
		return nil, err
	}
	k := &keptContent{files: map[string][]keptFile{}}
	if err := k.read(ctx, f); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *keptContent) read(ctx context.Context, f frames) error {
	for number := 0; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		fr, err := f.next()
		if err != nil {
			return err
		}
		switch fr.kind {
		case frameRaw:
			err = discard(f, fr.size)
		case frameKept:
			err = k.add(f, fr, number)
		case frameEnd:
			return atEnd(f)
		}
		if err != nil {
			return err
		}
	}
}

// atEnd has the sum that ends the gzip member checked.
func atEnd(f frames) error {
	switch _, err := f.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("bytes after its end: %w", errRecord)
	default:
		return err
	}
}

func discard(f frames, size int64) error {
	n, err := io.CopyN(io.Discard, f, size)
	if err == io.EOF && n < size {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (k *keptContent) add(f frames, fr frame, number int) error {
	if k.spool == nil {
		spool, err := nameless()
		if err != nil {
			return err
		}
		k.spool = spool
	}
	n, err := io.CopyN(k.spool, f, fr.size)
	if err == io.EOF && n < fr.size {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	k.files[fr.path] = append(k.files[fr.path], keptFile{number, k.size, fr.size})
	k.size += fr.size
	return nil
}

// nameless is a temporary file that is gone when it is closed.
func nameless() (*os.File, error) {
	f, err := os.CreateTemp("", "strata-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// find is the content that a file frame of this number and path means, if it is
// not in the tree.
func (k *keptContent) find(path string, number int) (*io.SectionReader, bool) {
	files := k.files[path] // in the order of their numbers
	i := sort.Search(len(files), func(i int) bool { return files[i].number > number })
	if i == len(files) {
		return nil, false
	}
	return io.NewSectionReader(k.spool, files[i].offset, files[i].size), true
}

func (k *keptContent) close() {
	if k.spool != nil {
		k.spool.Close()
	}
}
