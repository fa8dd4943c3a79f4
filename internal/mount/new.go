// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Option is one option of a filesystem: with a File that file, with a Value
// that string (at most 255 bytes), with neither a flag (fsconfig(2)).
type Option struct {
	Key   string
	Value string
	File  *os.File
	// Optional says to go on without the option where the kernel does not know it.
	Optional bool
}

// String is the option as mount(8) would show it; a file is shown by its name.
func (o Option) String() string {
	switch {
	case o.File != nil:
		return o.Key + "=" + o.File.Name()
	case o.Value != "":
		return o.Key + "=" + o.Value
	}
	return o.Key
}

// Error is a filesystem that could not be mounted.
type Error struct {
	Call    string // "fsopen", "fsconfig lowerdir+", "fsconfig create", "fsmount", "mount"
	FSType  string
	Options []Option
	Log     string // what the kernel wrote about it, empty when it wrote nothing
	Err     error  // the errno
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	msg := fmt.Sprintf("mount %s: %s: %v", e.FSType, e.Call, e.Err)
	if e.Log != "" {
		msg += ": " + e.Log
	}
	return msg + " (options " + summary(e.Options) + ")"
}

// summary keeps an error readable when 500 layers are involved: of an option
// that is given again and again it shows the first ones.
func summary(options []Option) string {
	const most = 3
	var words []string
	for i := 0; i < len(options); {
		same := i + 1
		for same < len(options) && options[same].Key == options[i].Key {
			same++
		}
		for _, o := range options[i:min(same, i+most)] {
			words = append(words, o.String())
		}
		if more := same - i - most; more > 0 {
			words = append(words, fmt.Sprintf("%d more %s", more, options[i].Key))
		}
		i = same
	}
	return strings.Join(words, ",")
}

// New makes a detached mount of a new filesystem instance. The attrs are
// MOUNT_ATTR_* bits of the mount, as against options of the filesystem. The
// caller closes the result; errors are *Error.
func New(fstype string, options []Option, attrs int) (*os.File, error) {
	fail := func(call, log string, err error) (*os.File, error) {
		return nil, &Error{Call: call, FSType: fstype, Options: options, Log: log, Err: err}
	}
	var ctx, fd int
	err := linux.Retry(func() (err error) {
		ctx, err = unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
		return err
	})
	if err != nil {
		return fail("fsopen", "", err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		if err := configure(ctx, o); err != nil {
			return fail("fsconfig "+o.Key, readLog(ctx), err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return fail("fsconfig create", readLog(ctx), err)
	}
	err = linux.Retry(func() (err error) {
		fd, err = unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attrs)
		return err
	})
	if err != nil {
		return fail("fsmount", readLog(ctx), err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// Checks reports whether the filesystem refuses an option that it does not know
// as soon as that is set. One that has not been converted to fsconfig(2) takes
// anything and complains about it to the kernel's log when it is created (overlay
// before Linux 6.5), which is no place to probe in.
func Checks(fstype string) bool {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(ctx)
	return unix.FsconfigSetFlag(ctx, "no-such-option") != nil
}

// configure sets one option. A call on a context is not retried after a signal:
// a second "lowerdir+" would be a second layer, and a context whose creation
// failed can only be closed.
func configure(ctx int, o Option) error {
	var err error
	switch {
	case o.File != nil:
		err = unix.FsconfigSetFd(ctx, o.Key, int(o.File.Fd()))
	case o.Value != "":
		err = unix.FsconfigSetString(ctx, o.Key, o.Value)
	default:
		err = unix.FsconfigSetFlag(ctx, o.Key)
	}
	if err == unix.EINVAL && o.Optional {
		readLog(ctx) // or it would be taken for the cause of a later error
		return nil
	}
	return err
}

// readLog takes the messages that wait in a filesystem context, one read each,
// "e text\n" (fsopen(2), "Message retrieval interface"), until ENODATA.
func readLog(ctx int) string {
	var messages []string
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(ctx, buf)
		if err != nil || n == 0 {
			return strings.Join(messages, "; ")
		}
		text := bytes.TrimSpace(buf[:n])
		if len(text) > 2 && text[1] == ' ' {
			text = text[2:]
		}
		messages = append(messages, string(text))
	}
}
