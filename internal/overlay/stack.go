// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"strata/internal/mount"
)

// MaxLowers is how many layers the kernel stacks (OVL_MAX_STACK in
// fs/overlayfs/params.h).
const MaxLowers = 500

// Stack is what one overlay mount is made of. The directories stay the
// caller's: they must be open during Mount only, and the lowers must not change
// while the mount lives (overlayfs.rst, "Changes to underlying filesystems").
type Stack struct {
	Lowers []*os.File // the layers, oldest first
	// Upper receives what is written and Work is the kernel's scratch directory
	// on the same filesystem. Both nil: a read-only mount. A lock that keeps a
	// second mount off Upper is the caller's: the kernel, with index=off, only
	// warns about one.
	Upper, Work *os.File
	Volatile    bool // nothing is synced to Upper's filesystem (Linux 5.10; left out before)
	// Detached: the directories are in detached mounts, which no thread of another
	// mount namespace can name.
	Detached  bool
	UserXattr bool // marks in user.overlay.*, for a mount in a user namespace
	// Empty is an empty directory. It becomes the oldest layer where the kernel
	// wants one more: two where there is no Upper, one in any case.
	Empty *os.File
}

// Mount mounts the stack, detached: it is in nobody's mount table and ends with
// its last descriptor, so the caller closes the result after attaching it.
//
// The ways to name the layers to the kernel are tried from the newest to the
// oldest. An error is a *mount.Error of each way tried; ENODEV says that this
// kernel has no overlay, EPERM that the caller may not mount one.
func (s Stack) Mount() (*os.File, error) {
	if s.Detached {
		return s.mountBy(byDescriptor, byName)
	}
	return s.mountBy(byDescriptor, byName, byThread)
}

type way func(Stack) (*os.File, error)

func (s Stack) mountBy(ways ...way) (*os.File, error) {
	s, err := s.complete()
	if err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	for _, mountBy := range ways {
		m, wayErr := s.try(mountBy)
		if wayErr == nil {
			return m, nil
		}
		if err == nil {
			err = wayErr
		} else {
			err = fmt.Errorf("%w; then %w", err, wayErr)
		}
		if !unknown(wayErr) {
			break
		}
	}
	return nil, err
}

// try mounts one way. Most of what overlay has to say about a refused mount goes
// to the kernel's log only, so a refusal without words is repeated for them.
func (s Stack) try(mountBy way) (m *os.File, err error) {
	m, err = mountBy(s)
	var e *mount.Error
	if errors.As(err, &e) && e.Log == "" && (e.Call == "fsconfig create" || e.Call == "mount") {
		log := mount.KernelLog("overlayfs: ", func() { m, err = mountBy(s) })
		if errors.As(err, &e) && e.Log == "" {
			e.Log = log
		}
	}
	return m, err
}

// unknown reports whether another way of saying the same may succeed where err
// did not. A kernel that took every layer as a descriptor understood them.
func unknown(err error) bool {
	var e *mount.Error
	if errors.As(err, &e) && e.Call == "fsconfig create" && e.Options[0].File != nil {
		return false
	}
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP)
}

// complete adds the empty layer and refuses what no way can mount.
func (s Stack) complete() (Stack, error) {
	lowers, err := visible(s.Lowers, Marks{UserXattr: s.UserXattr})
	if err != nil {
		return s, err
	}
	s.Lowers = lowers
	least := 1
	if s.Upper == nil {
		least = 2
	}
	if len(s.Lowers) == least-1 && s.Empty != nil {
		s.Lowers = slices.Insert(slices.Clone(s.Lowers), 0, s.Empty)
	}
	switch {
	case (s.Upper == nil) != (s.Work == nil):
		return s, errors.New("an upperdir needs a workdir and the other way round")
	case len(s.Lowers) < least:
		return s, fmt.Errorf("%d layers: at least %d are needed", len(s.Lowers), least)
	case len(s.Lowers) > MaxLowers:
		return s, fmt.Errorf("%d layers: the kernel stacks at most %d", len(s.Lowers), MaxLowers)
	}
	return s, nil
}

// byDescriptor hands the directories over as they are open here, whatever their
// names and wherever they are mounted (Linux 6.13).
func byDescriptor(s Stack) (*os.File, error) {
	return s.fsopen(func(key string, dir *os.File) mount.Option {
		return mount.Option{Key: key, File: dir}
	})
}

// byName names each directory by its short link in procfs (lowerdir+ exists
// since Linux 6.5). Such a name has no character that overlay would take for a
// separator, and fits in the 255 bytes that a string option can have.
func byName(s Stack) (*os.File, error) {
	if !mount.Checks("overlay") {
		return nil, &mount.Error{Call: "fsconfig lowerdir+", FSType: "overlay", Err: unix.ENOTSUP}
	}
	return s.fsopen(func(key string, dir *os.File) mount.Option {
		return mount.Option{Key: key, Value: "/proc/self/fd/" + strconv.Itoa(int(dir.Fd()))}
	})
}

func (s Stack) fsopen(dir func(key string, dir *os.File) mount.Option) (*os.File, error) {
	var options []mount.Option
	for _, lower := range slices.Backward(s.Lowers) { // the kernel wants the newest first
		options = append(options, dir("lowerdir+", lower))
	}
	if s.Upper != nil {
		options = append(options, dir("upperdir", s.Upper), dir("workdir", s.Work))
	}
	options = append(options, s.features()...)
	options = append(options, mount.Option{Key: "source", Value: "overlay"})
	m, err := mount.New("overlay", options, 0)
	runtime.KeepAlive(s) // byName holds numbers only
	return m, err
}

// features turns off what Changes does not read, whatever the defaults of the
// kernel's build, and never follows such a mark that a layer brought along
// (overlayfs.rst, "renaming directories" and "Metadata only copy up").
func (s Stack) features() []mount.Option {
	options := []mount.Option{
		{Key: "index", Value: "off"},
		{Key: "metacopy", Value: "off"},
		{Key: "redirect_dir", Value: "nofollow"}, // "off" may follow, by a module parameter
	}
	if s.UserXattr {
		options = append(options, mount.Option{Key: "userxattr"})
	}
	if s.Volatile && s.Upper != nil {
		options = append(options, mount.Option{Key: "volatile", Optional: true})
	}
	return options
}

// Way mounts the stack and says in words by which way that succeeded.
func (s Stack) Way() (string, error) {
	for _, w := range []struct {
		mountBy way
		words   string
	}{
		{byDescriptor, "layers by descriptor"}, {byName, "layers by name, lowerdir+"}, {byThread, "mount(2) in a namespace of its own"},
	} {
		if m, err := s.mountBy(w.mountBy); err == nil {
			return w.words, m.Close()
		}
	}
	_, err := s.Mount()
	return "", err
}
