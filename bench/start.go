// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"
)

// start measures one short container from start to exit, with its removal.
func (b *bench) start() error {
	rename, err := b.newFloor("floor-rename", "rename", "/bin/true")
	if err != nil {
		return err
	}
	defer rename.close()
	unlink, err := b.newFloor("floor-unlink", "unlink", "/bin/true")
	if err != nil {
		return err
	}
	defer unlink.close()
	contenders := []contender{
		{name: floorName, run: rename.order("r")},
		{name: emptyName, run: b.fresh(b.bin + "/empty")},
		{name: strataName, run: b.fresh(b.strataCommand("run", "--rm", "--network", "none", image, "/bin/true")...)},
		{name: "floor, deleting its files", run: unlink.order("r")},
	}
	peers, err := b.startPeers()
	if err != nil {
		return err
	}
	results, err := measure(b.rounds(200), append(contenders, peers...), nil)
	if err != nil {
		return err
	}
	ground := find(results, floorName).times.median() + find(results, emptyName).times.median()
	table{
		title: "start: /bin/true in a Debian minbase tree, from start to exit, removed afterwards", results: results, floor: ground,
		targets: map[string]time.Duration{strataName: scale(ground, 1.5)}, comment: startComment,
	}.print()
	return nil
}

const (
	floorName  = "floor, system calls in C"
	emptyName  = "empty Go process"
	strataName = "strata"
)

const startComment = `The floor of the ratios is the first two rows together: what the kernel takes for
pid, mount, uts, ipc, cgroup and network namespaces, a volatile overlay, /proc,
/sys, /dev with pts, shm and mqueue, lo, pivot_root and Debian's dynamic
/bin/true, and what any Go program takes. Everybody else is a fresh process each
time. Removal is a rename by the floor, strata, bubblewrap, crun and runc. What
strata renamed, its own reaper deletes meanwhile; what the others renamed stays
until the bench ends. (On ext4 new inodes are slow to make for minutes after old
ones were deleted: recently_deleted in fs/ext4/ialloc.c. All pay for that.) The
overlay under bubblewrap, crun and runc is mounted and unmounted by the bench
with two system calls, volatile. The script is what tutorials teach, with rm -rf.
Crun, runc, podman and docker make cgroups, strata with version 1 only for limits,
which are not asked for here. Strata, podman and docker install a seccomp filter.
Podman and docker have network none.`

// fresh runs a command as a new process.
func (b *bench) fresh(argv ...string) func() (time.Duration, error) {
	return func() (time.Duration, error) { return timed(argv...) }
}

func (b *bench) startPeers() ([]contender, error) {
	var bundles []contender
	for _, peer := range []struct {
		name string
		argv []string
	}{
		{"bubblewrap", []string{
			"bwrap", "--unshare-all", "--die-with-parent", "--bind", "rootfs", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true",
		}},
		{"crun", []string{"crun", "--root", "/run/crun-bench", "run", "bench"}},
		{"crun, no cgroup", []string{"crun", "--root", "/run/crun-none", "--cgroup-manager=disabled", "run", "bench-none"}},
		{"runc", []string{"runc", "--root", "/run/runc-bench", "run", "bench"}},
	} {
		c, err := b.bundleContender(peer.name, peer.argv)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, c)
	}
	script, err := b.scriptContender()
	if err != nil {
		return nil, err
	}
	podman, docker := b.podman.load(b.archive, image), b.docker.load(b.archive, image)
	return append(bundles, script,
		contender{name: "podman", every: 5, absent: podman, run: b.fresh(b.podman.run("--rm", image, "/bin/true")...)},
		contender{name: "docker", every: 10, absent: docker, run: b.fresh(b.docker.run("--rm", image, "/bin/true")...)},
	), nil
}

// bundleContender runs argv in a bundle over a new overlay each time.
func (b *bench) bundleContender(name string, argv []string) (contender, error) {
	c := contender{name: name, every: 2}
	if !installed(argv[0]) {
		c.absent = "not installed"
		return c, nil
	}
	bundle, err := b.newBundle(name, []string{"/bin/true"})
	c.run = func() (time.Duration, error) {
		return clock(bundle.mount, bundle.in(argv), bundle.discard)
	}
	return c, err
}

// script is how tutorials make a container, with the mounts that ours has.
const script = `set -e
c=$(mktemp -d "$1/XXXXXX")
mkdir "$c/upper" "$c/work" "$c/root"
mount -t overlay -o "lowerdir=$2,upperdir=$c/upper,workdir=$c/work" overlay "$c/root"
unshare --mount --pid --uts --ipc --net --cgroup --fork sh -ec '
	cd "$1"
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t tmpfs tmpfs dev
	mknod -m 666 dev/null c 1 3
	ip link set lo up 2>/dev/null || true
	pivot_root . .
	exec chroot . sh -c "umount -l /; exec /bin/true"
' - "$c/root"
umount "$c/root"
rm -rf "$c"
`

func (b *bench) scriptContender() (contender, error) {
	c := contender{name: "script with unshare", every: 2}
	if !installed("unshare") {
		c.absent = "not installed"
		return c, nil
	}
	dir, err := b.mkdir("script")
	c.run = b.fresh("sh", "-c", script, "script", dir, b.tree)
	return c, err
}

// mkdir makes a directory of this run; the same name may be used again.
func (b *bench) mkdir(name string) (string, error) {
	return b.path(name), os.MkdirAll(b.path(name), 0o755)
}
