// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	mobyuser "github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// user is whom a process runs as.
type user struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// lookupUser finds the user of a config ("", "name", "1000:1000", …) in the
// image's own files. An empty name is root.
func lookupUser(root *os.File, name string) (user, error) {
	passwd, err := readAccounts(root, "etc/passwd")
	if err != nil {
		return user{}, err
	}
	group, err := readAccounts(root, "etc/group")
	if err != nil {
		return user{}, err
	}
	found, err := mobyuser.GetExecUser(name, &mobyuser.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return user{}, fmt.Errorf("user %q: %w", name, err)
	}
	for _, id := range append([]int{found.Uid, found.Gid}, found.Sgids...) {
		if id < 0 || id > maxID { // the library takes any number from a file
			return user{}, fmt.Errorf("user %q: the image gives it the id %d, which cannot be", name, id)
		}
	}
	u := user{uid: uint32(found.Uid), gid: uint32(found.Gid), home: found.Home}
	for _, g := range found.Sgids {
		u.groups = append(u.groups, uint32(g))
	}
	return u, nil
}

// maxID is the largest id there is: one more, as 32 bits, is -1, with which
// setresuid(2) and setresgid(2) leave things as they are.
const maxID = 1<<32 - 2

// maxAccounts bounds a file of accounts, in bytes.
const maxAccounts = 10 << 20

// readAccounts reads a file of the image as a hostile one: inside its root,
// only if it is a regular file, and not without end (CVE-2024-9676). An absent
// file is empty.
func readAccounts(root *os.File, path string) ([]byte, error) {
	fd, err := linux.OpenInRoot(int(root.Fd()), path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read /%s of the image: %w", path, err)
	}
	defer unix.Close(fd)
	if st, err := linux.Fstat(fd); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("read /%s of the image: it is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(linux.FD(fd), maxAccounts+1))
	if err == nil && len(data) > maxAccounts {
		err = errors.New("it is larger than 10 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("read /%s of the image: %w", path, err)
	}
	return data, nil
}
