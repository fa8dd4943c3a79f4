// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"strata/internal/durable"
	"strata/internal/linux"
)

// Status is the word that Docker has for a container's state.
type Status string

const (
	Created Status = "created"
	Running Status = "running"
	Exited  Status = "exited"
	// Paused is Running as listings show it while the container's cgroup is frozen.
	// No file has it.
	Paused Status = "paused"
)

// A State is where a container is in its life. It is written when a process
// starts and when it ends, and does not survive a power failure: then nothing
// runs any more.
type State struct {
	Status   Status    `json:"status"`
	Pid      int       `json:"pid,omitempty"` // on the host, while running
	BootID   string    `json:"bootID,omitempty"`
	Ticks    uint64    `json:"ticks,omitempty"` // when the process started, in clock ticks after boot
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	ExitCode int       `json:"exitCode"`
	Error    string    `json:"error,omitempty"` // why it could not be started
	// Cgroup is the path of its cgroup, while it runs and if it had one at the start.
	Cgroup string `json:"cgroup,omitempty"`
	// OOMKilled: the kernel has killed a process of it for want of memory.
	OOMKilled bool `json:"oomKilled,omitempty"`
}

// unknownExit is the exit code of a container whose end nobody saw.
const unknownExit = 255

// SetState writes s.
func (c *Container) SetState(s State) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.WriteFileRelaxed(c.dir, stateFile, data, 0o600)
}

// NewRunning is the state of a container whose first process is pid.
func NewRunning(pid int, now time.Time) State {
	ticks, _ := linux.StartTicks(pid)
	return State{Status: Running, Pid: pid, BootID: linux.BootID(), Ticks: ticks, Started: now}
}

// Running reports whether the container was running when s was read, paused or not.
func (s State) Running() bool { return s.Status == Running || s.Status == Paused }

// Alive reports whether the first process of a running container is still
// there: the same process of the same boot.
func (s State) Alive() bool {
	if s.Status != Running || s.BootID != linux.BootID() {
		return false
	}
	ticks, err := linux.StartTicks(s.Pid)
	return err == nil && ticks == s.Ticks
}

// readState reads where a container is; one never started is Created.
func readState(dir *os.File, id string) (State, error) {
	data, err := durable.ReadFile(dir, stateFile, maxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return State{Status: Created}, nil
	}
	if err != nil {
		return State{}, &RecordError{ID: id, Err: fmt.Errorf("read its state: %w", err)}
	}
	return parseState(data, id)
}

func parseState(data []byte, id string) (s State, err error) {
	if s, plain := parsePlainState(data); plain {
		return s, nil
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, &RecordError{ID: id, Err: fmt.Errorf("read its state: %w", err)}
	}
	return s, nil
}

// SetMounted notes that the container's tree is mounted at path on the host, or
// with "" that it is not any more. While it is, its upperdir is a lowerdir and
// must not change.
func (c *Container) SetMounted(path string) error {
	if path == "" {
		err := os.Remove(filepath.Join(c.path, mountFile))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.WriteFileRelaxed(c.dir, mountFile, []byte(linux.BootID()+" "+path), 0o600)
}

// Mounted is where the container's tree is mounted on the host, "" for nowhere.
func (c *Container) Mounted() string {
	data, err := durable.ReadFile(c.dir, mountFile, maxRecord)
	if err != nil {
		return ""
	}
	boot, path, _ := strings.Cut(string(data), " ")
	if boot != linux.BootID() {
		return ""
	}
	return path
}

// ExitText is the status as `ps` shows it of a container that is not running.
func (s State) ExitText() string { return "Exited (" + strconv.Itoa(s.ExitCode) + ")" }
