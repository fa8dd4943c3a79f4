// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"

	"strata/internal/container"
	"strata/internal/fault"
	"strata/internal/image"
	"strata/internal/oci"
)

// CheckOptions say what is checked, and what is done about what is wrong.
type CheckOptions struct {
	Images []string // these alone; none stands for the whole store
	Repair bool     // mend what can be mended
	// Restore makes a layer anew of a blob that is kept with it: what decompresses
	// is not linked into every program. Nil: that cannot be.
	Restore func(ctx context.Context, layer, blob oci.Digest) error
	Report  func(Finding)
}

// A Finding is a fault, and what came of mending it.
type Finding struct {
	fault.Fault
	Tried bool
	Err   error // of mending
}

// String is the finding's line.
func (f Finding) String() string {
	if f.Tried {
		return f.Repaired(f.Err)
	}
	return f.Fault.String()
}

// Fixed reports whether the fault is no more.
func (f Finding) Fixed() bool { return f.Tried && f.Err == nil }

// Checked says what a check has looked at and found.
type Checked struct {
	Images, Layers, Containers int
	Damaged, Leftovers         int // faults of each kind that are left
	Repaired                   int // faults of either kind that are no more
	Trash                      int // entries that wait to be deleted
}

// Check makes the archive of every layer again and compares its digest and its
// tree, and looks at everything else in the store. It may run beside any other
// command: what looks wrong is looked at again with the lock that whoever changes
// it must have. What is interrupted at any point, mending too, a later Check finds
// as it finds everything else.
//
// The error is for what could not be checked; what is wrong with the store is
// reported and is none.
func (e *Engine) Check(ctx context.Context, o CheckOptions) (Checked, error) {
	c := &checking{Engine: e, ctx: ctx, o: o, seen: map[string]bool{}, doubted: map[oci.Digest]bool{}}
	if len(o.Images) > 0 {
		err := c.someImages()
		return c.result, err
	}
	whole, err := c.places()
	if err != nil || !whole {
		return c.result, err
	}
	err = errors.Join(c.documents(), c.filters(), c.containersAndNames())
	if err == nil {
		err = c.allLayers()
	}
	if err == nil {
		err = errors.Join(c.stacks(), c.leftovers())
	}
	return c.result, err
}

func (c *checking) allLayers() error {
	ids, err := c.store.LayerIDs()
	if err != nil {
		return err
	}
	return c.layers(ids)
}

// checking is the state of one Check.
type checking struct {
	*Engine
	ctx    context.Context
	o      CheckOptions
	result Checked
	known  []image.Image
	stood  []container.Record // of containers, which stand on layers
	seen   map[string]bool    // faults of completions
	// doubted are layers with faults that are not mended, on which nothing can be
	// compared.
	doubted map[oci.Digest]bool
}

// found reports a fault, once it has been mended if that is to be.
func (c *checking) found(f fault.Fault) {
	found := Finding{Fault: f}
	if c.o.Repair && f.Mend != nil && c.ctx.Err() == nil {
		found.Tried, found.Err = true, f.Mend()
	}
	switch {
	case f.Detail:
	case found.Fixed():
		c.result.Repaired++
	case f.Leftover:
		c.result.Leftovers++
	default:
		c.result.Damaged++
	}
	c.o.Report(found)
}

// later collects faults, to be reported when a lock has been given back that
// mending them would wait for.
type later []fault.Fault

func (l *later) add(f fault.Fault) { *l = append(*l, f) }

func (c *checking) all(faults []fault.Fault) {
	for _, f := range faults {
		c.found(f)
	}
}

// exclusively mends with the store's exclusive lock.
func (c *checking) exclusively(f fault.Fault) fault.Fault {
	if mend := f.Mend; mend != nil {
		f.Mend = func() error {
			lock, err := c.store.Exclusive()
			if err != nil {
				return err
			}
			return errors.Join(mend(), lock.Close())
		}
	}
	return f
}

// documents checks manifests, configs and names. Blobs that are removed come
// before the names that led to them.
func (c *checking) documents() error {
	var faults later
	err := c.shared(func() error {
		if err := c.images.Check(faults.add); err != nil {
			return err
		}
		c.known, _ = c.images.All() // what cannot be read has been reported
		for _, img := range c.known {
			c.missingLayers(img, faults.add)
		}
		return nil
	})
	for _, f := range faults {
		c.found(c.exclusively(f))
	}
	c.result.Images = len(c.known)
	return err
}

// missingLayers reports the layers of an image that are not there. The caller
// has the shared lock.
func (c *checking) missingLayers(img image.Image, report fault.Report) {
	for _, id := range img.Layers {
		if !c.store.Has(id) {
			report(fault.Fault{
				Object: "image " + nameOfImage(img.ID, img.Names), What: "its layer " + string(id) + " is missing",
				Todo: "pull or load it again, or remove it (strata rmi)",
			})
		}
	}
}

// containersAndNames checks containers.
func (c *checking) containersAndNames() (err error) {
	var faults later
	c.stood, err = c.containers.Check(container.Checks{Discard: c.trash, Settle: c.settle, IsMounted: isMounted}, faults.add)
	c.all(faults)
	for i := range c.stood {
		c.container(&c.stood[i])
	}
	c.result.Containers = len(c.stood)
	return err
}
