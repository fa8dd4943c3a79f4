// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// crowds are the kinds of containers to hold; done ends what stands behind them.
func (b *bench) crowds() (crowds []crowd, done func() error, err error) {
	f, err := b.newFloor("floor-held", "rename", held...)
	if err != nil {
		return nil, nil, err
	}
	ground := crowd{name: floorName, n: b.rounds(manyCount), disk: b.path("floor-held")}
	ground.start = func(int) (time.Duration, error) { return f.do("s") }
	ground.remove = func(int) (time.Duration, error) { return f.do("k") }
	return []crowd{
		ground, b.strataCrowd(), b.crunCrowd(), b.engineCrowd(b.podman), b.engineCrowd(b.docker),
	}, f.close, nil
}

// strataCrowd has a process of strata for each container, in the background.
func (b *bench) strataCrowd() crowd {
	c := crowd{name: strataName, n: b.rounds(manyCount), disk: b.path("store", "containers")}
	pids := make([]int, c.n)
	c.start = func(i int) (took time.Duration, err error) {
		argv := append(b.strataCommand("run", "--rm", "--network", "none", "--name", manyName(i), image), held...)
		pids[i], took, err = untilUp(argv)
		return took, err
	}
	c.remove = func(i int) (time.Duration, error) {
		begin := time.Now()
		_, err := timed(b.strataCommand("rm", "-f", manyName(i))...)
		if err != nil {
			unix.Kill(pids[i], unix.SIGKILL)
		}
		wait(pids[i])
		return time.Since(begin), err
	}
	return c
}

func manyName(i int) string { return "many-" + strconv.Itoa(i) }

// untilUp starts a command and waits for its first byte of output.
func untilUp(argv []string) (pid int, took time.Duration, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, 0, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), w.Fd(), os.Stderr.Fd()}}
	begin := time.Now()
	pid, err = syscall.ForkExec(argv[0], argv, attr)
	w.Close()
	if err != nil {
		return 0, 0, err
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		wait(pid)
		return 0, 0, fmt.Errorf("%s ended before it was up", argv[0])
	}
	return pid, time.Since(begin), nil
}

// crunCrowd has a bundle and an overlay for each container.
func (b *bench) crunCrowd() crowd {
	c := crowd{name: "crun", n: b.rounds(200), disk: b.path("bundle-crowd")}
	if !installed("crun") {
		c.absent = "not installed"
		return c
	}
	var bundles []*bundle
	c.start = func(i int) (time.Duration, error) {
		v, err := b.newBundle("crowd/"+manyName(i), held)
		if err != nil {
			return 0, err
		}
		bundles = append(bundles, v)
		return clock(v.mount, v.in([]string{"crun", "--root", "/run/crun-crowd", "run", "--detach", manyName(i)}))
	}
	c.remove = func(i int) (time.Duration, error) {
		return clock(ran("crun", "--root", "/run/crun-crowd", "delete", "--force", manyName(i)), bundles[i].discard)
	}
	return c
}

func (b *bench) engineCrowd(e *engine) crowd {
	c := crowd{name: e.name, n: b.rounds(50), disk: b.path(e.name), absent: e.load(b.archive, image)}
	c.start = func(i int) (time.Duration, error) {
		return timed(e.run(append([]string{"--detach", "--name", manyName(i), image}, held...)...)...)
	}
	c.remove = func(i int) (time.Duration, error) { return timed(e.remove(manyName(i))...) }
	return c
}

// allocated is what files beneath dir take on disk, in bytes, without other
// filesystems mounted there.
func allocated(dir string) (sum int64) {
	var top unix.Stat_t
	if unix.Lstat(dir, &top) != nil {
		return 0
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil {
			return nil
		}
		if st.Dev != top.Dev {
			return fs.SkipDir
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum
}
