// SPDX-License-Identifier: Apache-2.0

package command

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type tarRun struct {
	call    *Call
	opts    options
	exclude []string
	strip   int
	links   map[[2]uint64]string
}

// tarCommand creates, extracts and lists, with gzip by -z or by what the
// archive is.
func tarCommand(c *Call) int {
	if len(c.Args) > 0 && c.Args[0] != "" && c.Args[0][0] != '-' {
		c.Args = append([]string{"-" + c.Args[0]}, c.Args[1:]...)
	}
	opts, ok := c.parse("cxtzvf:C:poOhkmX:S:N", "create=c", "extract=x", "get=x", "list=t", "gzip=z", "verbose=v", "file=f", "directory=C",
		"same-permissions=p", "to-stdout=O", "dereference=h", "exclude=X", "strip-components=S", "numeric-owner=N", "no-same-owner=o")
	if !ok {
		return 1
	}
	strip, err := opts.number('S', 0)
	if err != nil {
		return c.usage("%v", err)
	}
	t := &tarRun{call: c, opts: opts, exclude: opts.values('X'), strip: strip, links: map[[2]uint64]string{}}
	switch opts.last("cxt") {
	case 'c':
		err = t.create()
	case 'x', 't':
		err = t.extract()
	default:
		return c.usage("you must specify one of -c, -x, -t")
	}
	if err != nil {
		return c.errorf("%s", ddReason(err))
	}
	return c.status
}

func (t *tarRun) file() string { return t.opts.value('f', "-") }

func (t *tarRun) create() (err error) {
	if len(t.call.Args) == 0 {
		return errors.New("cowardly refusing to create an empty archive")
	}
	var out io.Writer = t.call.Out
	if name := t.file(); name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	if t.opts.has("z") {
		z := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, z.Close()) }()
		out = z
	}
	if dir := t.opts.value('C', ""); dir != "" {
		if err := os.Chdir(dir); err != nil {
			return err
		}
	}
	w := tar.NewWriter(out)
	for _, name := range t.call.Args {
		if err := t.addTree(w, name); err != nil {
			return err
		}
	}
	return w.Close()
}

func (t *tarRun) addTree(w *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			t.call.fail(name, err)
			return nil
		}
		if t.excluded(name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		return t.add(w, name)
	})
}

func (t *tarRun) excluded(name string) bool {
	return slices.ContainsFunc(t.exclude, func(pattern string) bool {
		re, err := globRegexp(pattern, false)
		return err == nil && (re.MatchString(name) || re.MatchString(filepath.Base(name)))
	})
}

func (t *tarRun) add(w *tar.Writer, name string) error {
	st, err := os.Lstat(name)
	if t.opts.has("h") && err == nil {
		st, err = os.Stat(name)
	}
	if err != nil || st.Mode()&fs.ModeSocket != 0 {
		return err
	}
	link, _ := os.Readlink(name)
	h, err := tar.FileInfoHeader(st, link)
	if err != nil {
		return err
	}
	h.Name = strings.TrimLeft(name, "/")
	if st.IsDir() {
		h.Name += "/"
	}
	t.asLink(h, st)
	if t.opts.has("v") {
		fmt.Fprintln(t.call.Err, h.Name)
	}
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, h.Size)
	return err
}

// asLink makes a further name of a file a hard link to the first.
func (t *tarRun) asLink(h *tar.Header, st fs.FileInfo) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Nlink < 2 || h.Typeflag != tar.TypeReg {
		return
	}
	key := [2]uint64{sys.Dev, sys.Ino}
	if first, ok := t.links[key]; ok {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		return
	}
	t.links[key] = h.Name
}

func (t *tarRun) extract() error {
	var in io.Reader = t.call.In
	if name := t.file(); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	buffered := bufio.NewReaderSize(in, 64<<10)
	in = buffered
	if magic, _ := buffered.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		in = z
	}
	if dir := t.opts.value('C', ""); dir != "" {
		if err := os.Chdir(dir); err != nil {
			return err
		}
	}
	return t.entries(tar.NewReader(in))
}

func (t *tarRun) entries(r *tar.Reader) error {
	root, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer root.Close()
	var dirs []*tar.Header
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if !t.wanted(h) {
			continue
		}
		t.announce(h)
		if t.opts.has("t") {
			continue
		}
		if t.opts.has("O") {
			if _, err := io.Copy(t.call.Out, r); err != nil {
				return err
			}
			continue
		}
		if h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
		if err := t.write(root, h, r); err != nil {
			t.call.fail(h.Name, err)
		}
	}
	for _, h := range slices.Backward(dirs) { // what came in changed their times
		root.Chtimes(h.Name, h.ModTime, h.ModTime)
	}
	return nil
}

// wanted also strips the name's leading components.
func (t *tarRun) wanted(h *tar.Header) bool {
	h.Name = filepath.Clean(strings.TrimLeft(h.Name, "/"))
	parts := strings.Split(h.Name, "/")
	if len(parts) <= t.strip || t.excluded(h.Name) {
		return false
	}
	if len(t.call.Args) > 0 && !slices.ContainsFunc(t.call.Args, func(arg string) bool {
		arg = filepath.Clean(arg)
		return h.Name == arg || strings.HasPrefix(h.Name, arg+"/")
	}) {
		return false
	}
	h.Name = strings.Join(parts[t.strip:], "/")
	return true
}

func (t *tarRun) announce(h *tar.Header) {
	if !t.opts.has("vt") {
		return
	}
	name := h.Name
	if h.Typeflag == tar.TypeDir {
		name += "/"
	}
	if t.opts.has("t") && t.opts.has("v") {
		kind := map[byte]uint32{tar.TypeDir: unix.S_IFDIR, tar.TypeSymlink: unix.S_IFLNK, tar.TypeChar: unix.S_IFCHR,
			tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
		if kind == 0 {
			kind = unix.S_IFREG
		}
		link := ""
		if h.Linkname != "" {
			link = " -> " + h.Linkname
		}
		name = fmt.Sprintf("%s %d/%d %9d %s %s%s", modeString(kind|uint32(h.Mode)), h.Uid, h.Gid, h.Size,
			h.ModTime.Format("2006-01-02 15:04:05"), name, link)
	}
	fmt.Fprintln(t.call.Out, name)
}

// write makes one entry beneath root: nothing in an archive leads out of it.
func (t *tarRun) write(root *os.Root, h *tar.Header, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(h.Name), 0o777); err != nil {
		return err
	}
	mode := os.FileMode(h.Mode & 0o777)
	if h.Typeflag == tar.TypeDir {
		if err := root.Mkdir(h.Name, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return t.finish(root, h)
	}
	if err := root.Remove(h.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var err error
	switch h.Typeflag {
	case tar.TypeReg:
		err = writeFile(root, h.Name, mode, r)
	case tar.TypeSymlink:
		err = root.Symlink(h.Linkname, h.Name)
	case tar.TypeLink:
		return root.Link(filepath.Clean(strings.TrimLeft(h.Linkname, "/")), h.Name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		err = makeDevice(root, h)
	default:
		return fmt.Errorf("unknown entry type '%c'", h.Typeflag)
	}
	if err != nil {
		return err
	}
	return t.finish(root, h)
}

func writeFile(root *os.Root, name string, mode os.FileMode, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func makeDevice(root *os.Root, h *tar.Header) error {
	dir, err := root.Open(filepath.Dir(h.Name))
	if err != nil {
		return err
	}
	defer dir.Close()
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	return unix.Mknodat(int(dir.Fd()), filepath.Base(h.Name), kind|uint32(h.Mode&0o777), int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}

func (t *tarRun) finish(root *os.Root, h *tar.Header) error {
	if os.Geteuid() == 0 && !t.opts.has("o") {
		if err := root.Lchown(h.Name, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if os.Geteuid() != 0 && !t.opts.has("p") {
		mode &^= fs.FileMode(umask())
	}
	if err := root.Chmod(h.Name, mode); err != nil {
		return err
	}
	if t.opts.has("m") {
		return nil
	}
	return root.Chtimes(h.Name, time.Time{}, h.ModTime)
}
