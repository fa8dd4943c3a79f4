// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
)

// keepPrefix and the hex of a diffID make the name of a file in a staging
// directory that keeps that layer from being collected.
const keepPrefix = "keep-"

// Staging is a directory in which layers are made. Its maker holds an exclusive
// flock on it as long as he lives; one that nobody holds is rubbish that Collect
// removes. Methods may be called from several goroutines at once.
type Staging struct {
	store *Store
	lock  *durable.Lock // its file is the directory

	mu     sync.Mutex
	staged []staged // guarded by mu
}

// staged is a layer that is whole but not yet published.
type staged struct {
	name  string // in the staging directory
	layer Layer
}

// ApplyOptions say what is known of an archive.
type ApplyOptions struct {
	Expect oci.Digest // the diffID it must have, if known
	// LeftOut, when not nil, is called with each device that is left out.
	LeftOut func(path string)
}

// Stage makes an empty staging directory. The caller closes it. No lock is
// needed before Publish.
func (s *Store) Stage() (*Staging, error) {
	shared, err := s.Share() // or Collect could find the directory before it is locked
	if err != nil {
		return nil, err
	}
	defer shared.Close()
	name := stagingDir + "/" + durable.RandomName()
	if err := unix.Mkdirat(s.fd(), name, 0o700); err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: s.path(name), Err: err}
	}
	dir, err := s.open(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	lock, err := durable.Exclusive(dir)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &Staging{store: s, lock: lock}, nil
}

func (st *Staging) dir() *os.File { return st.lock.File() }

// Keep finds a layer that is in the store already and keeps it from being
// collected until the staging directory is closed. The caller holds the store's
// shared lock. The error for a layer that is not there is os.ErrNotExist.
func (st *Staging) Keep(id oci.Digest) (Layer, error) {
	l, err := st.store.Layer(id)
	if err != nil {
		return Layer{}, err
	}
	f, err := openIn(st.dir(), keepPrefix+id.Hex(), unix.O_WRONLY|unix.O_CREAT)
	if err != nil {
		return Layer{}, fmt.Errorf("keep layer %s: %w", id, err)
	}
	return l, f.Close()
}

// Apply makes a layer of an uncompressed archive. After an error the layer is
// not among those that Publish publishes, and others are not affected.
func (st *Staging) Apply(ctx context.Context, archive io.Reader, opts ApplyOptions) (Layer, error) {
	dir, err := st.newLayer()
	if err != nil {
		return Layer{}, fmt.Errorf("stage layer: %w", err)
	}
	defer dir.Close()
	l, err := st.applyTo(ctx, dir, archive, opts)
	if err != nil {
		return Layer{}, fmt.Errorf("apply layer%s: %w", known(opts.Expect), err)
	}
	st.add(dir, l)
	return l, nil
}

// applyTo makes the layer in dir, of which it is not known yet that it is right.
func (st *Staging) applyTo(ctx context.Context, dir *os.File, archive io.Reader, opts ApplyOptions) (Layer, error) {
	info, err := st.apply(ctx, archive, dir, opts)
	if err != nil {
		return Layer{}, err
	}
	return writeRecord(dir, info, making{OneID: st.store.opts.Unprivileged})
}

// add puts the layer in dir among those that Publish publishes.
func (st *Staging) add(dir *os.File, l Layer) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.staged = append(st.staged, staged{base(dir), l})
}

func known(id oci.Digest) string {
	if id == "" {
		return ""
	}
	return " " + string(id)
}

// newLayer makes the directory of one more layer and opens it.
func (st *Staging) newLayer() (*os.File, error) {
	name := durable.RandomName()
	if err := unix.Mkdirat(int(st.dir().Fd()), name, 0o700); err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: st.dir().Name() + "/" + name, Err: err}
	}
	return openIn(st.dir(), name, unix.O_DIRECTORY)
}

func (st *Staging) apply(ctx context.Context, archive io.Reader, dir *os.File, opts ApplyOptions) (info layer.Info, err error) {
	tree, err := makeTree(dir)
	if err != nil {
		return info, err
	}
	defer tree.Close()
	var needs implied
	err = withRecord(dir, func(record io.Writer) (err error) {
		info, err = layer.Apply(ctx, archive, tree, record, layer.ApplyOptions{
			Marks: st.store.opts.Marks, Unprivileged: st.store.opts.Unprivileged,
			UserNamespace: st.store.opts.UserNamespace, LeftOut: opts.LeftOut,
			Implied: func(path string) { needs.directories = append(needs.directories, path) },
			Linked:  func(path, target string) { needs.links = append(needs.links, Link{path, target}) },
		})
		return err
	})
	if err == nil {
		err = needs.write(dir)
	}
	if err == nil && opts.Expect != "" && info.DiffID != opts.Expect {
		err = fmt.Errorf("the archive has the digest %s", info.DiffID)
	}
	return info, err
}

// makeTree makes the layer's root directory, with the mode that it has unless
// the archive says otherwise.
func makeTree(dir *os.File) (*os.File, error) {
	if err := unix.Mkdirat(int(dir.Fd()), treeName, 0o755); err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: dir.Name() + "/" + treeName, Err: err}
	}
	tree, err := openIn(dir, treeName, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(dropLists(tree), tree.Chmod(0o755)); err != nil { // whatever the umask
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// dropLists takes away the access lists that a directory got from the one that
// holds the store (acl(5), "default ACL"): all in it would inherit them.
func dropLists(dir *os.File) error {
	for _, name := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		err := linux.Retry(func() error { return unix.Fremovexattr(int(dir.Fd()), name) })
		if err != nil && err != unix.ENODATA && err != unix.ENOTSUP {
			return &os.PathError{Op: "remove attribute " + name, Path: dir.Name(), Err: err}
		}
	}
	return nil
}

// withRecord creates archive.gz in dir and has f write it.
func withRecord(dir *os.File, f func(io.Writer) error) (err error) {
	file, err := openIn(dir, archiveName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buf := bufio.NewWriterSize(file, 64<<10)
	if err := f(buf); err != nil {
		return err
	}
	return buf.Flush()
}

// Publish puts all layers that were applied on disk, with one syncfs, and gives
// them their names in the store. A layer that is there already, because somebody
// else was quicker, stays as it is. The caller holds the store's shared lock, and
// keeps it until what refers to the layers is on disk.
func (st *Staging) Publish() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.staged) == 0 {
		return nil
	}
	if err := durable.SyncFS(st.dir()); err != nil {
		return fmt.Errorf("publish layers: %w", err)
	}
	layers, err := st.store.open(layerDir, unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("publish layers: %w", err)
	}
	defer layers.Close()
	for _, l := range st.staged {
		if _, err := st.store.publish(st.dir(), l.name, layers, l.layer.DiffID); err != nil {
			return fmt.Errorf("publish layer %s: %w", l.layer.DiffID, err)
		}
	}
	st.staged = nil
	return errors.Join(durable.Sync(layers), durable.Sync(st.dir()))
}

// publish renames a staged layer into layers and tells whether it was the first.
// The parents are not synced.
func (s *Store) publish(from *os.File, name string, layers *os.File, id oci.Digest) (first bool, err error) {
	for {
		err := durable.RenameNew(from, name, layers, id.Hex())
		if !errors.Is(err, os.ErrExist) {
			return err == nil, err
		}
		whole, err := s.settle(id)
		if whole || err != nil {
			return false, err
		}
	}
}

// settle waits for whoever is sealing the layer id, and tells whether the layer
// is whole. The rest of a seal that was killed goes to the trash.
func (s *Store) settle(id oci.Digest) (whole bool, err error) {
	dir, err := s.open(pathOf(id), unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if hasTree(dir) {
		return true, dir.Close()
	}
	lock, err := durable.Exclusive(dir)
	if err != nil {
		return false, errors.Join(err, dir.Close())
	}
	defer lock.Close()
	if hasTree(dir) {
		return true, nil
	}
	return false, s.trashRest(dir, id)
}

// trashRest renames dir, what a killed seal left of the layer id, into the
// trash. Its lock is held, so nobody else can; but somebody else may have, and
// published the layer since, before we had the lock.
func (s *Store) trashRest(dir *os.File, id oci.Digest) error {
	ours, err := linux.Fstat(int(dir.Fd()))
	if err != nil {
		return err
	}
	there, err := linux.Lstat(s.fd(), pathOf(id))
	if err == unix.ENOENT || err == nil && (there.Ino != ours.Ino || there.Dev != ours.Dev) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Trash(s.root, pathOf(id))
}

func hasTree(layer *os.File) bool {
	_, err := linux.Lstat(int(layer.Fd()), treeName)
	return err == nil
}

// base is the name of dir in its parent.
func base(dir *os.File) string { return dir.Name()[strings.LastIndexByte(dir.Name(), '/')+1:] }

// Close removes what was not published and gives the lock back.
func (st *Staging) Close() error {
	return errors.Join(st.store.discard(stagingDir+"/"+base(st.dir())), st.lock.Close())
}

// AddLayer applies an archive and publishes the layer: Stage, Apply, Publish and
// Close in one. The caller holds the store's shared lock as for Publish.
func (s *Store) AddLayer(ctx context.Context, archive io.Reader, opts ApplyOptions) (l Layer, err error) {
	st, err := s.Stage()
	if err != nil {
		return Layer{}, fmt.Errorf("stage layer: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if l, err = st.Apply(ctx, archive, opts); err != nil {
		return Layer{}, err
	}
	return l, st.Publish()
}

// Dir is the staging directory, for other trees that are made aside. It is
// open until Close.
func (st *Staging) Dir() *os.File { return st.dir() }
