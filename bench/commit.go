// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// commitTable is one size of changes.
type commitTable struct {
	job            job
	rounds         int
	podman, docker int // rounds to one run of theirs
	// limit is the target, if it is not a multiple of the floor.
	limit, perFloor float64 // ms, ratio
}

func (b *bench) commit() error {
	for _, t := range []commitTable{
		{job: tenChanges, rounds: 40, podman: 4, docker: 4, limit: 10},
		{job: manyFiles, rounds: 10, podman: 10, docker: 5, limit: 300},
		{job: largeFile, rounds: 6, podman: 6, docker: 6, perFloor: 1.5},
	} {
		if err := b.commitOne(t); err != nil {
			return err
		}
	}
	return nil
}

const (
	shaName     = "SHA-256 in Go"
	archiveName = "tar | sha256sum"
	unsynced    = "strata, changes not on disk yet"
)

func (b *bench) commitOne(t commitTable) error {
	kept, err := b.stopped(t.job, image)
	if err != nil {
		return err
	}
	upper, err := b.upperdir(kept)
	if err != nil {
		return err
	}
	floor := contender{name: archiveName, run: synced(b.fresh("sh", "-c", `tar -C "$1" -c . | sha256sum`, "sh", upper))}
	contenders := []contender{floor}
	if t.perFloor > 0 {
		floor = contender{name: shaName, run: synced(func() (time.Duration, error) { return hashFile(upper + "/srv/large") })}
		contenders = append([]contender{floor}, contenders...)
	}
	contenders = append(contenders,
		contender{name: strataName, run: func() (time.Duration, error) { return b.commitStrata(t.job, true) }},
		contender{name: unsynced, every: 2, run: func() (time.Duration, error) { return b.commitStrata(t.job, false) }},
		b.commitPeer(b.podman, t.job, t.podman), b.commitPeer(b.docker, t.job, t.docker))
	results, err := measure(b.rounds(t.rounds), contenders, b.collect)
	if err != nil {
		return err
	}
	ground := find(results, floor.name).times.median()
	limit := time.Duration(t.limit * 1e6)
	if t.perFloor > 0 {
		limit = scale(ground, t.perFloor)
	}
	table{
		title: "commit: a stopped container with " + t.job.title, results: results, floor: ground,
		targets: map[string]time.Duration{strataName: limit},
		comment: "The ratios are to " + floor.name + commitComment,
	}.print()
	return kept.remove()
}

const commitComment = ` over the upperdir. The changes were
made in the container by the same script for all. The filesystem was synced
before the clock started, but for the row that says so: there the commit, which
has to be durable, writes the changes out as well. Strata and docker are
measured by a fresh process, docker's being only a client of its daemon.`

func (b *bench) commitStrata(j job, synced bool) (time.Duration, error) {
	s, err := b.stopped(j, image)
	if err != nil {
		return 0, err
	}
	return s.commit(synced)
}

func (b *bench) commitPeer(e *engine, j job, every int) contender {
	return contender{name: e.name, every: every, absent: e.load(b.archive, image), run: func() (time.Duration, error) {
		s, err := e.stopped(b, j, image)
		if err != nil {
			return 0, err
		}
		return s.commit(true)
	}}
}

// synced runs what is measured after a sync, as the others are.
func synced(run func() (time.Duration, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		unix.Sync()
		return run()
	}
}

func hashFile(path string) (time.Duration, error) {
	begin := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return time.Since(begin), err
}

// collect deletes the images of earlier rounds.
func (b *bench) collect(int) error {
	_, err := b.strata("gc", "--quiet")
	return err
}
