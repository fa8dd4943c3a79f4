// SPDX-License-Identifier: Apache-2.0

// Rootfs compiles mini and writes the root filesystem of Strata's embedded
// image as a compressed archive. The same source and compiler give the same
// bytes. It is run in mini/:
//
//	go run ./rootfs -o ../internal/mini/data/mini.tar.gz
//
// It needs nothing but Go, and no network once the modules are in its cache.
// GOARCH in the environment chooses the architecture.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strata/mini/internal/command"
)

func main() {
	out := flag.String("o", "mini.tar.gz", "the `file` to write")
	flag.Parse()
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "rootfs:", err)
		os.Exit(1)
	}
}

func generate(out string) error {
	dir, err := os.MkdirTemp("", "mini-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := build(dir)
	if err != nil {
		return err
	}
	notices, err := licenses()
	if err != nil {
		return err
	}
	archive, err := write(append(tree(binary), notices...))
	if err != nil {
		return err
	}
	packed, err := compress(archive)
	if err != nil {
		return err
	}
	return replace(out, packed)
}

func build(dir string) ([]byte, error) {
	name := filepath.Join(dir, "mini")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", name, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build mini: %w", err)
	}
	return os.ReadFile(name)
}

// licenses are the notices of what is linked in, which their terms ask to go
// with the program.
func licenses() ([]entry, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	dirs := map[string]string{"go": strings.TrimSpace(string(out))}
	const format = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}"
	if out, err = exec.Command("go", "list", "-deps", "-f", format, ".").Output(); err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if path, dir, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			dirs[strings.ReplaceAll(path, "/", "-")] = dir
		}
	}
	entries := []entry{dirEntry("usr/share/licenses", 0o755)}
	for name, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
		if err != nil {
			return nil, fmt.Errorf("license of %s: %w", name, err)
		}
		entries = append(entries, file("usr/share/licenses/"+name, string(text)))
	}
	return entries, nil
}

// write makes the archive of the entries, sorted by name, so that a directory
// comes before what is in it.
func write(entries []entry) ([]byte, error) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.header.Name, b.header.Name) })
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.header.ModTime = time.Unix(modified, 0)
		e.header.Size = int64(len(e.content))
		e.header.Format = tar.FormatUSTAR
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.header.Name, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.header.Name, err)
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// compress puts the archive's digest in the header's comment, where
// strata/internal/mini finds it without decompressing anything.
func compress(archive []byte) ([]byte, error) {
	sum := sha256.Sum256(archive)
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	z.Comment = "sha256:" + hex.EncodeToString(sum[:])
	if _, err := z.Write(archive); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// replace writes aside and renames, so that a build that runs meanwhile embeds
// the old archive or the new one.
func replace(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".mini-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func commands() []string { return append(command.Names(), "sh") }
