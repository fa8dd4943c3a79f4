// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strata/internal/fault"
)

// name compares the record's name with the link of that name.
func (k *checked) name(r Record) {
	if r.Name == "" {
		return
	}
	target, err := os.Readlink(filepath.Join(k.names, r.Name))
	if err == nil && filepath.Base(target) == k.id {
		return
	}
	f := k.add("its name %s is not reserved", r.Name)
	if err == nil && k.has(filepath.Base(target)) {
		f.What = fmt.Sprintf("its name %s is that of container %s", r.Name, short(filepath.Base(target)))
		f.Todo = "it is found by its ID"
	} else {
		f.Cure, f.Mend = fault.Cure{Will: "reserves it", Did: "reserved"}, k.locked(func(*Container) error { return ignoreTaken(k.take(r), k.id) })
	}
	k.report(*f)
}

// ignoreTaken is err, unless it says that the name is the container's own.
func ignoreTaken(err error, id string) error {
	var taken *NameError
	if errors.As(err, &taken) && taken.ID == id {
		return nil
	}
	return err
}

func (c *Containers) has(id string) bool {
	_, err := os.Lstat(filepath.Join(c.dir, id))
	return err == nil
}

// settling is how long a name may lead nowhere: from when a container is moved
// away until its name is released.
const settling = 100 * time.Millisecond

// checkNames looks for names that lead nowhere, twice.
func (c *Containers) checkNames(report fault.Report) error {
	first, err := c.strayNames()
	if err != nil || len(first) == 0 {
		return err
	}
	time.Sleep(settling)
	again, err := c.strayNames()
	if err != nil {
		return err
	}
	for _, name := range first {
		if slices.Contains(again, name) {
			report(c.strayName(name))
		}
	}
	return nil
}

func (c *Containers) strayNames() (names []string, err error) {
	entries, err := os.ReadDir(c.names)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Type() == os.ModeSymlink && c.isStray(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// isStray reports whether a name leads to no container, or to one of another name.
func (c *Containers) isStray(name string) bool {
	target, err := os.Readlink(filepath.Join(c.names, name))
	if err != nil {
		return false
	}
	id, ok := strings.CutPrefix(target, "../containers/")
	if !ok || !isID(id) || !c.has(id) {
		return true
	}
	r, err := c.record(id)
	return err == nil && r.Name != name
}

func isID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

func (c *Containers) strayName(name string) fault.Fault {
	target, _ := os.Readlink(filepath.Join(c.names, name))
	f := fault.Fault{Object: "name " + name, What: "it is a link to " + target + ", which is no container of that name", Cure: fault.Remove}
	if id, ok := strings.CutPrefix(target, "../containers/"); ok && isID(id) && !c.has(id) {
		f.What, f.Leftover = "container "+short(id)+" is gone", true
	}
	f.Mend = func() error {
		now, err := os.Readlink(filepath.Join(c.names, name))
		if err != nil || now != target || !c.isStray(name) {
			return nil
		}
		return ignoreMissing(os.Remove(filepath.Join(c.names, name)))
	}
	return f
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
