// SPDX-License-Identifier: Apache-2.0

package rootless

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spawn"
)

// newNamespace makes a user namespace in which the caller is root, and opens it.
// The caller closes it.
func newNamespace(warn bool) (*os.File, error) {
	ids, err := findIDs()
	if err != nil {
		return nil, err
	}
	// The uts namespace is only tried: where the namespace comes without its
	// capabilities (AppArmor), it is refused here and not later.
	child, err := spawn.Begin(new(spawn.List), spawn.Options{Namespaces: unix.CLONE_NEWUSER | unix.CLONE_NEWUTS})
	if err != nil {
		return nil, err
	}
	ns, err := ids.apply(child)
	if abandoned := child.Abandon(); err == nil { // or it says the same again
		err = abandoned
	}
	if err != nil {
		return nil, err
	}
	if ids.missing != "" && warn {
		fmt.Fprintf(os.Stderr, "strata: %s: every file will belong to you and only user 0 exists inside\n", ids.missing)
	}
	return ns, nil
}

// ids are those of the user who calls.
type ids struct {
	uid, gid []linux.IDMap
	missing  string // why there is one id only, and what to do about it
}

// apply gives the waiting child's namespace its ids, and opens that.
func (i *ids) apply(child *spawn.Child) (*os.File, error) {
	p, err := child.Process()
	if err != nil {
		return nil, refused("/", err)
	}
	proc := "/proc/" + strconv.Itoa(p.Pid) + "/"
	if i.missing == "" {
		err = i.applySubordinate(p.Pid)
	} else {
		err = i.applyOwn(proc)
	}
	if err != nil {
		return nil, fmt.Errorf("map ids into a user namespace: %w", err)
	}
	return os.Open(proc + "ns/user")
}

// applyOwn writes the maps that anybody may write: one's own id, and no way to
// drop groups, which could be there to deny something (CVE-2014-8989).
func (i *ids) applyOwn(proc string) error {
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"setgroups", []byte("deny")}, {"uid_map", linux.FormatIDMaps(i.uid)}, {"gid_map", linux.FormatIDMaps(i.gid)},
	} {
		if err := os.WriteFile(proc+f.name, f.data, 0); err != nil {
			return err
		}
	}
	return nil
}

// applySubordinate lets the programs of shadow write the maps: they may, and
// know which ids are the user's (newuidmap(1)).
func (i *ids) applySubordinate(pid int) error {
	users := make(chan error)
	go func() { users <- runMapper("newuidmap", pid, i.uid) }()
	groups := runMapper("newgidmap", pid, i.gid)
	return errors.Join(<-users, groups)
}

func runMapper(name string, pid int, maps []linux.IDMap) error {
	args := []string{strconv.Itoa(pid)}
	for _, m := range maps {
		args = append(args, strings.Fields(string(linux.FormatIDMaps([]linux.IDMap{m})))...)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "; ")
	if said == "" {
		said = name + ": " + err.Error()
	}
	return errors.New(said)
}

// findIDs are the user's own ids, as 0, and the subordinate ones behind it.
func findIDs() (*ids, error) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	i := &ids{uid: linux.MapSubordinate(uid, nil), gid: linux.MapSubordinate(gid, nil)}
	name := userName(uid)
	users, err := linux.SubordinateIDs("/etc/subuid", name, uid)
	if err != nil {
		return nil, err
	}
	groups, err := linux.SubordinateIDs("/etc/subgid", name, uid)
	if err != nil {
		return nil, err
	}
	if i.missing = missing(name, users, groups, exec.LookPath); i.missing == "" {
		i.uid, i.gid = linux.MapSubordinate(uid, users), linux.MapSubordinate(gid, groups)
	}
	return i, nil
}

// missing says what a user lacks to have more than one id, and what to do.
func missing(name string, users, groups []linux.IDRange, look func(string) (string, error)) string {
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := look(program); err != nil {
			return program + " is not in PATH (install it: uidmap in Debian, shadow-utils elsewhere)"
		}
	}
	for _, f := range []struct {
		file, option string
		ranges       []linux.IDRange
	}{
		{"/etc/subuid", "--add-subuids", users}, {"/etc/subgid", "--add-subgids", groups},
	} {
		if len(f.ranges) == 0 {
			return fmt.Sprintf("%s gives user %s no ids (as root: usermod %s 100000-165535 %s, or a range nobody has)", f.file, name, f.option, name)
		}
	}
	return ""
}

// userName is the name that /etc/passwd has for uid, or the number.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	data, _ := os.ReadFile("/etc/passwd") // without it there are no names
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(line, ":")
		if len(fields) > 3 && fields[2] == number {
			return fields[0]
		}
	}
	return number
}

// refused explains why the kernel makes no user namespace, by the settings that
// it has beneath root.
func refused(root string, err error) error {
	setting := func(name string) string {
		data, _ := os.ReadFile(root + "proc/sys/" + name)
		return strings.TrimSpace(string(data))
	}
	hint := "look for a seccomp filter or a chroot around this process: both can forbid it"
	switch {
	case setting("user/max_user_namespaces") == "0":
		hint = "user.max_user_namespaces is 0; as root: sysctl user.max_user_namespaces=15000"
	case setting("kernel/unprivileged_userns_clone") == "0":
		hint = "kernel.unprivileged_userns_clone is 0; as root: sysctl kernel.unprivileged_userns_clone=1"
	case setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
		hint = "AppArmor restricts it; as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give strata a profile that allows userns"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		hint = "there are as many user namespaces as user.max_user_namespaces allows, or as many levels of them as there can be"
	}
	return fmt.Errorf("make a user namespace: %w: %s", err, hint)
}
