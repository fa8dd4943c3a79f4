// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"time"
)

// ImageConfig is an image's config: how to run it, its layers and how they came
// to be (image-spec, config.md, with the fields that Docker adds). The digest of
// its document is the image ID, so a document that was received is kept as it
// is; one that is marshalled from this struct belongs to a new image.
type ImageConfig struct {
	Created *time.Time `json:"created,omitempty"`
	Author  string     `json:"author,omitempty"`
	Platform
	Config  Config    `json:"config"`
	RootFS  RootFS    `json:"rootfs"`
	History []History `json:"history,omitempty"`
}

// Config is how to run the image.
type Config struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"` // "80/tcp"
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Healthcheck  *Healthcheck        `json:"Healthcheck,omitempty"`
	ArgsEscaped  bool                `json:"ArgsEscaped,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	OnBuild      []string            `json:"OnBuild,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
	StopTimeout  *int                `json:"StopTimeout,omitempty"` // seconds
	Shell        []string            `json:"Shell,omitempty"`       // runs the shell forms; /bin/sh -c if none
}

// Healthcheck is Docker's probe of a running container. Test is ["NONE"],
// ["CMD", argument…] or ["CMD-SHELL", command]; durations are in nanoseconds and
// zero means the default.
type Healthcheck struct {
	Test          []string      `json:"Test,omitempty"`
	Interval      time.Duration `json:"Interval,omitempty"`
	Timeout       time.Duration `json:"Timeout,omitempty"`
	StartPeriod   time.Duration `json:"StartPeriod,omitempty"`
	StartInterval time.Duration `json:"StartInterval,omitempty"`
	Retries       int           `json:"Retries,omitempty"`
}

// RootFS lists the layers, oldest first, by the digests of their uncompressed
// archives.
type RootFS struct {
	Type    string   `json:"type"` // always "layers"
	DiffIDs []Digest `json:"diff_ids"`
}

// History is one step in the making of an image, oldest first. A step that
// changed no file has no layer.
type History struct {
	Created    *time.Time `json:"created,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	Author     string     `json:"author,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	EmptyLayer bool       `json:"empty_layer,omitempty"`
}

// ParseConfig parses an image's config. Its history, where there is one, must
// have a step for each layer.
func ParseConfig(data []byte) (ImageConfig, error) {
	const document = "config"
	var c ImageConfig
	if err := decode(document, data, &c); err != nil {
		return ImageConfig{}, err
	}
	if c.RootFS.Type != "layers" {
		return ImageConfig{}, malformed(document, "rootfs type %q, not \"layers\"", c.RootFS.Type)
	}
	for i, id := range c.RootFS.DiffIDs {
		if id == "" {
			return ImageConfig{}, malformed(document, "layer %d: %w", i+1, errNoDigest)
		}
	}
	if steps := c.layerSteps(); len(c.History) > 0 && steps != len(c.RootFS.DiffIDs) {
		return ImageConfig{}, malformed(document, "the history has %d layers and rootfs has %d", steps, len(c.RootFS.DiffIDs))
	}
	return c, nil
}

func (c ImageConfig) layerSteps() (n int) {
	for _, step := range c.History {
		if !step.EmptyLayer {
			n++
		}
	}
	return n
}

// Document marshals c. The result is the same bytes for the same value.
func (c ImageConfig) Document() ([]byte, error) {
	c.RootFS.Type = "layers"
	c.RootFS.DiffIDs = append([]Digest{}, c.RootFS.DiffIDs...) // never null
	return json.Marshal(c)
}

// Append returns a copy of c with one more layer and the step that made it. A c
// whose layers have no history gets an unnamed step for each of them, because a
// history must name all layers or none.
func (c ImageConfig) Append(layer Digest, step History) ImageConfig {
	history := make([]History, 0, len(c.History)+len(c.RootFS.DiffIDs)+1)
	if len(c.History) == 0 {
		history = history[:len(c.RootFS.DiffIDs)]
	}
	step.EmptyLayer = false
	c.History = append(append(history, c.History...), step)
	c.RootFS.DiffIDs = append(append([]Digest{}, c.RootFS.DiffIDs...), layer)
	return c
}
