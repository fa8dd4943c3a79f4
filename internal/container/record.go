// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
)

// A Record is how a container was made. Commit changes its stack; nothing
// changes the rest.
type Record struct {
	Version  int          `json:"version"`
	ID       string       `json:"id"`
	Name     string       `json:"name,omitempty"` // none: AutoName
	Created  time.Time    `json:"created"`
	Image    string       `json:"image,omitempty"` // as it was asked for
	ImageID  oci.Digest   `json:"imageID,omitempty"`
	Manifest oci.Digest   `json:"manifest,omitempty"`
	Rootfs   string       `json:"rootfs,omitempty"` // a host directory in place of an image
	Layers   []oci.Digest `json:"layers,omitempty"` // the stack, oldest first
	// Sealing is the newest of Layers while the upperdir is becoming it; an
	// interrupted commit leaves it.
	Sealing oci.Digest `json:"sealing,omitempty"`
	// Config is the image's, with what the command line added.
	Config     oci.Config `json:"config"`
	Host       Host       `json:"host"`
	AutoRemove bool       `json:"autoRemove,omitempty"`
	// Joined are the directories of the namespaces that it enters, by the ID of the
	// container whose they are, as opened for one start.
	Joined map[string]string `json:"-"`
}

// Host is what of a container does not go into an image made from it.
type Host struct {
	Hostname  string  `json:"hostname"`
	Network   string  `json:"network"` // "none", "host" or "container:ID"
	Mounts    []Mount `json:"mounts,omitempty"`
	Terminal  bool    `json:"terminal,omitempty"`
	OpenStdin bool    `json:"openStdin,omitempty"`
	ReadOnly  bool    `json:"readOnly,omitempty"`
	Init      bool    `json:"init,omitempty"`
	Isolation
	Resources Resources `json:"resources,omitzero"`
	// CgroupParent is the cgroup in which the container's own is made, "" for the
	// usual one; CgroupNS is "host" for none of its own.
	CgroupParent string `json:"cgroupParent,omitempty"`
	CgroupNS     string `json:"cgroupNS,omitempty"`
	// UserNS is UserNSAuto for a user namespace of the container's own.
	UserNS string `json:"userNS,omitempty"`
}

// UserNSAuto gives a container a range of ids of its own while it runs.
const UserNSAuto = "auto"

// A Mount is a bind mount or a tmpfs that was asked for.
type Mount struct {
	Type    string   `json:"type"` // "bind" or "tmpfs"
	Source  string   `json:"source,omitempty"`
	Target  string   `json:"target"`
	Options []string `json:"options,omitempty"`
}

// DisplayName is the name as listings show it: the given one, or one that
// follows from the ID and so needs no record.
func (r *Record) DisplayName() string {
	if r.Name != "" {
		return r.Name
	}
	return AutoName(r.ID)
}

// record reads and checks the record of the container id.
func (c *Containers) record(id string) (r Record, err error) {
	dir, err := linux.OpenDir(filepath.Join(c.dir, id))
	if err != nil {
		return r, err
	}
	defer dir.Close()
	return readRecord(dir, id)
}

func readRecord(dir *os.File, id string) (r Record, err error) {
	data, err := durable.ReadFile(dir, recordFile, maxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	if err == nil {
		r, err = parseRecord(data, id)
	}
	if err == nil {
		err = changedResources(dir, &r)
	}
	if err != nil {
		return Record{}, &RecordError{ID: id, Err: fmt.Errorf("read its record: %w", err)}
	}
	return r, nil
}

// parseRecord refuses what another version wrote and what is another
// container's.
func parseRecord(data []byte, id string) (r Record, err error) {
	r, plain := parsePlainRecord(data)
	if !plain {
		r = Record{}
		if err := json.Unmarshal(data, &r); err != nil {
			return Record{}, err
		}
	}
	if r.Version > formatVersion {
		return Record{}, fmt.Errorf("version %d is newer than this strata, which reads %d", r.Version, formatVersion)
	}
	if r.Version != formatVersion {
		return Record{}, fmt.Errorf("version %d is none", r.Version)
	}
	if r.ID != id {
		return Record{}, fmt.Errorf("it names container %q", short(r.ID))
	}
	return r, nil
}

func short(id string) string { return id[:min(12, len(id))] }

// autoAdjectives and autoNouns make names that are easy to say. Their number
// is a power of two, so that every ID has one.
var (
	autoAdjectives = [16]string{"amber", "brisk", "calm", "clear", "deep", "early", "fair", "firm", "green", "keen", "light", "mild", "plain", "quiet", "sharp", "still"}
	autoNouns      = [16]string{"basalt", "chalk", "clay", "cliff", "delta", "dune", "flint", "gneiss", "gravel", "loam", "marl", "ridge", "sand", "schist", "shale", "slate"}
)

// AutoName is the name of a container that was given none, for example
// "calm_slate_3fa94c12": two words and eight digits of the ID.
func AutoName(id string) string {
	var a, n int
	fmt.Sscanf(id[8:10], "%1x%1x", &a, &n)
	return autoAdjectives[a] + "_" + autoNouns[n] + "_" + id[:8]
}
