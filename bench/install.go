// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
)

// peers are the programs to compare with, and the Debian packages they are in.
var peers = []struct{ program, pkg string }{
	{"crun", "crun"}, {"runc", "runc"}, {"bwrap", "bubblewrap"}, {"podman", "podman"}, {"dockerd", "docker.io"},
	{"mmdebstrap", "mmdebstrap"}, {"unshare", "util-linux"},
}

// install installs the peers that are not there. One that cannot be had is
// reported in the tables.
func install() {
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH")) // Debian's, where there are two
	if os.Getenv("BENCH_INSTALL") == "no" {
		return
	}
	for _, p := range peers {
		if installed(p.program) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: installing %s\n", p.pkg)
		if _, err := output("apt-get", "install", "-y", "--no-install-recommends", p.pkg); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// makeArchive makes the Debian minbase tree, once.
func makeArchive(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "bench: making a Debian minbase tree, once; it takes some minutes")
	part := path + ".part.tar"
	defer os.Remove(part)
	if _, err := output("mmdebstrap", "--variant=minbase", "bookworm", part); err != nil {
		return err
	}
	return os.Rename(part, path)
}
