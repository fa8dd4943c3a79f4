// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProbeOrdinaryUser runs the probe in containers of a user without privilege,
// with subordinate ids and with a single id.
//
// With a single id there is no other user to become, and groups cannot be set
// (user_namespaces(7)).
func TestProbeOrdinaryUser(t *testing.T) {
	for _, c := range []struct {
		name        string
		subordinate bool
		changed     map[string]string
	}{
		{"subordinate ids", true, map[string]string{"a device node of the image": "ENOENT"}},
		{"a single id", false, map[string]string{
			"a device node of the image": "ENOENT", "a set-uid file": "EPERM", "chown": "EINVAL", "become another user": "EINVAL",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newUserPlace(t, c.subordinate)
			args := append(userProbe(t, p), "probe", "/probe")
			compareProbe(t, probed(t, p.must(args...)), true, c.changed)
		})
	}
}

// userProbe makes the user's image "probe" and returns the arguments of a run.
func userProbe(t *testing.T, p *place) []string {
	t.Helper()
	rootfs, volume := filepath.Join(p.dir, "rootfs"), filepath.Join(p.dir, "volume")
	probeRootfs(t, rootfs)
	if err := os.Remove(filepath.Join(rootfs, "image-node")); err != nil { // he could not import it
		t.Fatal(err)
	}
	if err := archive(rootfs, rootfs+".tar"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(volume, int(p.who.Uid), int(p.who.Gid)); err != nil {
		t.Fatal(err)
	}
	p.must("import", rootfs+".tar", "probe")
	args := []string{"run", "--rm", "-v", volume + ":/volume"}
	for _, v := range bait(t, p, p.who) {
		args = append(args, "-e", v)
	}
	return args
}
