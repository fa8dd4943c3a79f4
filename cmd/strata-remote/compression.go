// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strconv"

	"strata/internal/cli"
	"strata/internal/compression"
	"strata/internal/engine"
	"strata/internal/oci"
)

// compressionFlags say how layers go out.
type compressionFlags struct{ form, level string }

func (f *compressionFlags) add(s *cli.FlagSet) {
	s.StringVar(&f.form, "compression", "", "gzip|zstd|none", "give all layers this compression (default: each as it is)")
	s.StringVar(&f.level, "compression-level", "", "N", "1 to 9 for gzip, 1 to 22 for zstd")
}

// options checks the flags before anything is begun.
func (f *compressionFlags) options() (o engine.OutgoOptions, err error) {
	level := 0
	if f.level != "" && (f.form == "" || f.form == "none") {
		return o, cli.Usagef("--compression-level %s: of which compression? give --compression gzip or zstd too", f.level)
	}
	if f.level != "" {
		if level, err = strconv.Atoi(f.level); err != nil || level < 1 {
			return o, cli.Usagef("--compression-level %q: give a number from 1", f.level)
		}
	}
	forms := map[string]oci.Compression{"gzip": oci.Gzip, "zstd": oci.Zstd, "none": oci.Uncompressed}
	if f.form != "" {
		form, ok := forms[f.form]
		if !ok {
			return o, cli.Usagef("--compression %q: give gzip, zstd or none", f.form)
		}
		o.Compression = &form
		if z, err := newCompressor(io.Discard, form, level); err != nil {
			return o, cli.Usagef("--compression-level: %v", err)
		} else if err := z.Close(); err != nil {
			return o, err
		}
	}
	o.Compress = func(w io.Writer, c oci.Compression) (io.WriteCloser, error) { return newCompressor(w, c, level) }
	return o, nil
}

func newCompressor(w io.Writer, c oci.Compression, level int) (io.WriteCloser, error) {
	switch c {
	case oci.Gzip:
		return compression.NewGzipWriter(w, level)
	case oci.Zstd:
		return compression.NewZstdWriter(w, level)
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
