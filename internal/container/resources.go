// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/durable"
	"strata/internal/linux"
)

const (
	// resourcesFile has limits that were changed after the container was made: who
	// changes them does not hold the container's lock and cannot write the record.
	resourcesFile = "resources.json"
	updateLock    = "update.lock"
)

// Resources are a container's limits, as linux.resources of a runtime
// specification has them; nil is none. They encode themselves, so that a record
// without any costs nothing for their many types.
type Resources struct{ *specs.LinuxResources }

// MarshalJSON and UnmarshalJSON are those of linux.resources.
func (r Resources) MarshalJSON() ([]byte, error) { return json.Marshal(r.LinuxResources) }

// UnmarshalJSON is the other way.
func (r *Resources) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &r.LinuxResources)
}

// changedResources puts limits that were changed later in the place of r's.
func changedResources(dir *os.File, r *Record) error {
	data, err := durable.ReadFile(dir, resourcesFile, maxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r.Host.Resources)
	}
	if err != nil {
		return fmt.Errorf("its limits: %w", err)
	}
	return nil
}

// Update calls change for the container called name, one caller at a time, and
// keeps the limits that it returns. It takes no notice of the container's lock:
// limits are changed while somebody runs it.
func (c *Containers) Update(name string, change func(Entry) (Resources, error)) error {
	id, err := c.Find(name)
	if err != nil {
		return err
	}
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if errors.Is(err, os.ErrNotExist) {
		return &UnknownError{Name: name}
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	lock, err := lockUpdates(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	entry, err := c.Entry(id)
	if err != nil {
		return err
	}
	changed, err := change(entry)
	if err != nil || changed == entry.Record.Host.Resources {
		return err
	}
	data, err := json.Marshal(changed)
	if err != nil {
		return err
	}
	return durable.WriteFile(dir, resourcesFile, data, 0o600)
}

func lockUpdates(dir *os.File) (*durable.Lock, error) {
	path := filepath.Join(dir.Name(), updateLock)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock, err := durable.Exclusive(f)
	if err != nil {
		f.Close()
	}
	return lock, err
}
