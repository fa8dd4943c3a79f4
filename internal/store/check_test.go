// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/oci"
)

// The directory that the store is in may have a default access list, which no
// layer inherits.
func TestLayersInheritNoAccessLists(t *testing.T) {
	s := newStore(t)
	const list = "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x07\x00\x00\x00" +
		"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	if err := unix.Setxattr(s.Path()+"/staging", "system.posix_acl_default", []byte(list), 0); err != nil {
		t.Skipf("this filesystem has no access lists: %v", err)
	}
	l := add(t, s, entry{"a", "x"}, entry{"d/", ""}, entry{"d/b", "y"})
	checked, err := s.CheckLayer(context.Background(), l.DiffID)
	if err != nil || len(checked.Faults) > 0 {
		t.Errorf("faults %v, %v", checked.Faults, err)
	}
}

// A layer that is not there has no faults: it was removed meanwhile.
func TestCheckLayerThatIsGone(t *testing.T) {
	s := newStore(t)
	checked, err := s.CheckLayer(context.Background(), oci.FromBytes([]byte("gone")))
	if err != nil || len(checked.Faults) > 0 || checked.Damaged {
		t.Errorf("%+v, %v", checked, err)
	}
}
