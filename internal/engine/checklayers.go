// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"strata/internal/container"
	"strata/internal/fault"
	"strata/internal/mount"
	"strata/internal/oci"
	"strata/internal/store"
)

// layers checks layers, several at once, and reports on them in order.
func (c *checking) layers(ids []oci.Digest) error {
	ctx, stop := context.WithCancel(c.ctx)
	results := make([]chan layerResult, len(ids))
	for i := range results {
		results[i] = make(chan layerResult, 1)
	}
	var all sync.WaitGroup
	all.Go(func() { c.checkAll(ctx, ids, results) })
	defer func() { stop(); all.Wait() }()
	for i, id := range ids {
		r := <-results[i]
		if r.err != nil {
			return r.err
		}
		c.result.Layers++
		c.layer(id, r.LayerCheck)
	}
	return nil
}

func (c *checking) layer(id oci.Digest, r store.LayerCheck) {
	left := c.result.Damaged
	c.all(r.Faults)
	if r.Damaged {
		c.found(c.damagedLayer(id, r.Blob))
	}
	if r.Doubtful && c.result.Damaged > left {
		c.doubted[id] = true
	}
}

type layerResult struct {
	store.LayerCheck
	err error
}

// checkAll checks as many layers at once as there are processors: one that makes
// an archive again is hashed by another, but a layer of many small files keeps
// none of them busy for long. It starts the largest first.
func (c *checking) checkAll(ctx context.Context, ids []oci.Digest, results []chan layerResult) {
	next := make(chan int)
	var all sync.WaitGroup
	memory := newBudget(maxEntries)
	for range max(2, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := range next {
				l, _ := c.store.Layer(ids[i])
				memory.take(l.Entries)
				found, err := c.store.CheckLayer(ctx, ids[i])
				memory.give(l.Entries)
				results[i] <- layerResult{found, err}
			}
		})
	}
	for _, i := range c.largestFirst(ids) {
		next <- i
	}
	close(next)
	all.Wait()
}

func (c *checking) largestFirst(ids []oci.Digest) []int {
	sizes := make([]int64, len(ids))
	order := make([]int, len(ids))
	for i, id := range ids {
		l, _ := c.store.Layer(id)
		sizes[i], order[i] = l.ArchiveSize, i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(1, max(-1, sizes[b]-sizes[a]))) })
	return order
}

// maxEntries bounds the entries of the layers that are checked at one time, and
// with them the memory: some 200 MB. A larger layer is checked alone.
const maxEntries = 1_000_000

// A budget is shared by those who take parts of it.
type budget struct {
	mu   sync.Mutex
	more *sync.Cond
	left int // guarded by mu
	most int
}

func newBudget(most int) *budget {
	b := &budget{left: most, most: most}
	b.more = sync.NewCond(&b.mu)
	return b
}

// take waits for n, or for all where n is more than that.
func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n = min(n, b.most); b.left < n; {
		b.more.Wait()
	}
	b.left -= n
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += min(n, b.most)
	b.more.Broadcast()
}

// damagedLayer says what can be done about a layer that is not what it was.
func (c *checking) damagedLayer(id, blob oci.Digest) fault.Fault {
	f := fault.Fault{Object: "layer " + string(id), What: "it is damaged"}
	needed := c.neededBy(id)
	switch {
	case blob != "" && c.o.Restore != nil:
		f.Cure = fault.Cure{Will: "makes it anew from the blob that came with it", Did: "made anew from the blob that came with it"}
		f.Mend = func() error { return c.o.Restore(c.ctx, id, blob) }
	case needed == "":
		f.What = "it is damaged, and nothing needs it"
		f.Cure, f.Mend = fault.Trash, func() error { return c.trashUnneeded(id) }
	default:
		f.What = "it is damaged, and needed by " + needed
		f.Todo = "remove them, run strata gc, and pull or load the images again"
	}
	return f
}

// neededBy lists the images and containers that stand on a layer.
func (c *checking) neededBy(id oci.Digest) string {
	var names []string
	for _, img := range c.known {
		if slices.Contains(img.Layers, id) {
			names = append(names, "image "+nameOfImage(img.ID, img.Names))
		}
	}
	for _, r := range c.stood {
		if slices.Contains(r.Layers, id) {
			names = append(names, "container "+r.DisplayName())
		}
	}
	return strings.Join(names, ", ")
}

func nameOfImage(id oci.Digest, names []oci.Reference) string {
	if len(names) == 0 {
		return id.Short()
	}
	return names[0].Familiar()
}

// trashUnneeded removes a layer that nothing refers to, as gc does.
func (c *checking) trashUnneeded(id oci.Digest) error {
	return c.idle(id, func() error {
		entries, err := c.containers.List()
		if err != nil {
			return err
		}
		used, err := c.layersInUse(entries)
		if err != nil || used[id] {
			return err
		}
		return c.store.TrashLayer(id)
	})
}

// idle calls f while nobody uses the layer id, with the store's exclusive lock
// and that of every container that stands on it.
func (e *Engine) idle(id oci.Digest, f func() error) (err error) {
	lock, err := e.store.Exclusive()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	entries, err := e.containers.List()
	if err != nil {
		return fmt.Errorf("who uses the layer cannot be known: %w", err)
	}
	for _, entry := range entries {
		if entry.Record.Version != 0 && !slices.Contains(entry.Record.Layers, id) { // 0: it runs, and has no record
			continue
		}
		c, err := e.lockIdle(entry)
		if err != nil {
			return err
		}
		defer c.Close()
	}
	if err := e.imagesIdle(id); err != nil {
		return err
	}
	return f()
}

func (e *Engine) lockIdle(entry container.Entry) (*container.Container, error) {
	name := entry.Record.DisplayName()
	c, err := e.containers.Lock(entry.Record.ID)
	var busy *container.BusyError
	if errors.As(err, &busy) {
		return nil, fmt.Errorf("container %s runs on it; stop it and try again", name)
	}
	if err != nil {
		return nil, err
	}
	if at := mountedAt(c); at != "" {
		return nil, errors.Join(fmt.Errorf("container %s is mounted at %s; unmount it (strata umount %s) and try again", name, at, name), c.Close())
	}
	return c, nil
}

// imagesIdle looks for images that are mounted on the host.
func (e *Engine) imagesIdle(id oci.Digest) error {
	images, _ := e.images.All() // one that cannot be read cannot be mounted
	for _, img := range images {
		if !slices.Contains(img.Layers, id) {
			continue
		}
		if mounted, _ := mount.IsMountPoint(e.hostPath(img.ID.Hex())); mounted {
			name := nameOfImage(img.ID, img.Names)
			return fmt.Errorf("image %s is mounted; unmount it (strata umount %s) and try again", name, name)
		}
	}
	return nil
}

// RestoreLayer makes a damaged layer anew from a blob that is kept with it.
func (e *Engine) RestoreLayer(ctx context.Context, id, blob oci.Digest, decompress func(io.Reader) (io.ReadCloser, bool, error)) (err error) {
	f, err := e.store.Blob(id, blob)
	if err != nil {
		return fmt.Errorf("restore layer %s: %w", id, err)
	}
	defer f.Close()
	r, err := e.store.Replace(ctx, id, f, store.BlobOptions{Decompress: decompress})
	if err != nil {
		return fmt.Errorf("restore layer %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := e.idle(id, r.Exchange); err != nil {
		return fmt.Errorf("restore layer %s: %w", id, err)
	}
	return nil
}

// stacks checks what completes layers over others.
func (c *checking) stacks() error {
	done := map[oci.Digest]bool{}
	for _, stack := range c.everyStack() {
		if len(stack) < 2 || done[oci.ChainID(stack)] {
			continue
		}
		done[oci.ChainID(stack)] = true
		var faults later
		if err := c.store.CheckStack(c.ctx, stack, func(id oci.Digest) bool { return c.doubted[id] }, c.idle, faults.add); err != nil {
			return err
		}
		c.all(c.unseen(faults))
	}
	return nil
}

func (c *checking) everyStack() (stacks [][]oci.Digest) {
	for _, img := range c.known {
		stacks = append(stacks, newestOnly(img.Layers))
	}
	for _, r := range c.stood {
		stacks = append(stacks, newestOnly(r.Layers))
	}
	return stacks
}

// unseen leaves out what another stack with the same beginning had too.
func (c *checking) unseen(faults []fault.Fault) []fault.Fault {
	return slices.DeleteFunc(faults, func(f fault.Fault) bool {
		key := f.Object + f.What
		if c.seen[key] {
			return true
		}
		c.seen[key] = true
		return false
	})
}
