// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"

	"strata/internal/container"
)

// Containers lists all containers, newest first.
func (e *Engine) Containers() ([]container.Entry, error) {
	entries, err := e.containers.List()
	for i := range entries {
		entries[i].State = e.pausedState(&entries[i])
	}
	return entries, err
}

// Container finds one container by name or ID.
func (e *Engine) Container(name string) (container.Entry, error) {
	entry, err := e.containers.Entry(name)
	if err == nil {
		entry.State = e.pausedState(&entry)
	}
	return entry, err
}

// Lock takes the container called name in hand, to start it.
func (e *Engine) Lock(name string) (*container.Container, error) { return e.containers.Lock(name) }

// IsUnknownContainer reports whether err says that there is no such container.
func IsUnknownContainer(err error) bool {
	var unknown *container.UnknownError
	return errors.As(err, &unknown)
}
