// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/seccomp"
)

// container checks what a container's record refers to. One that is removed
// meanwhile has no faults.
func (c *checking) container(r *container.Record) {
	object := "container " + r.DisplayName()
	for _, id := range r.Layers {
		if id == r.Sealing || c.store.Has(id) || !c.stillStands(r.ID, id) {
			continue
		}
		c.found(fault.Fault{
			Object: object, What: "its layer " + string(id) + " is missing",
			Todo: "pull or load an image that has it, or remove the container",
		})
	}
	if r.Manifest != "" {
		c.containersImage(object, r)
	}
}

// stillStands reports whether the container is there, and on that layer.
func (c *checking) stillStands(container string, id oci.Digest) bool {
	entry, err := c.containers.Entry(container)
	if err != nil {
		return false
	}
	for _, other := range entry.Record.Layers {
		if other == id && entry.Record.Sealing != id {
			return true
		}
	}
	return false
}

// containersImage reports that the manifest is gone: then nothing can be
// committed, and gc refuses to decide what is garbage.
func (c *checking) containersImage(object string, r *container.Record) {
	if _, err := c.images.Blob(r.Manifest); err == nil {
		return
	}
	if entry, err := c.containers.Entry(r.ID); err != nil || entry.Record.Manifest != r.Manifest {
		return
	}
	c.found(fault.Fault{
		Object: object, What: "the manifest " + string(r.Manifest) + " of its image is missing or damaged",
		Todo: "pull or load the image " + r.Image + " again, or remove the container",
	})
}

// filters checks the cache of compiled filters.
func (c *checking) filters() error {
	dir, err := c.store.Dir(seccompDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := durable.ReadFile(dir, e.Name, seccomp.MaxFile)
		if _, ok := seccomp.Unmarshal(data); ok || errors.Is(err, os.ErrNotExist) || durable.IsTemporary(e.Name) {
			continue
		}
		path := filepath.Join(c.root, seccompDir, e.Name)
		c.found(fault.Fault{
			Object: "cache " + seccompDir + "/" + e.Name, What: "it is no compiled filter", Cure: fault.Remove,
			Mend: func() error { return ignoreMissing(os.Remove(path)) },
		})
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// leftovers looks for what killed commands have left, and counts the trash.
func (c *checking) leftovers() error {
	var faults later
	if err := c.store.CheckStaging(faults.add); err != nil {
		return err
	}
	err := c.mountPoints(faults.add)
	c.all(faults)
	trash, readErr := os.ReadDir(filepath.Join(c.root, "trash"))
	c.result.Trash = len(trash)
	return errors.Join(err, readErr)
}

// moment is how long something may be without what comes next: a mount point
// without its mount, a temporary file without its name.
const moment = 2 * time.Second

func (c *checking) mountPoints(report fault.Report) error {
	dir := filepath.Join(c.root, "mounts")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil || !info.IsDir() || isMounted(path) || time.Since(info.ModTime()) < moment {
			continue
		}
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		report(fault.Fault{
			Object: "mounts/" + strings.ToValidUTF8(e.Name(), "?"), What: "nothing is mounted there any more", Leftover: true, Cure: fault.Remove,
			Mend: func() error { return ignoreMissing(os.Remove(path)) }, // a mount point cannot be removed
		})
	}
	return nil
}
