// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
	"strata/internal/image"
	"strata/internal/oci"
)

func newInspectCommand() *cli.Command {
	var format string
	c := &cli.Command{
		Use:   "inspect CONTAINER|IMAGE…",
		Short: "Show everything about containers and images, as JSON",
		Min:   1, Max: -1,
		Run: func(args []string) error {
			if format != "" && format != "json" {
				return usage(fmt.Errorf("inspect: --format %s: only json is supported", format))
			}
			documents := []any{}
			err := forEach(args, func(e *engine.Engine, name string) error {
				document, err := inspect(e, name)
				if err == nil {
					documents = append(documents, document)
				}
				return err
			})
			if printErr := printDocument(documents); printErr != nil {
				return printErr
			}
			return err
		},
		Complete: completeContainersAndImages,
	}
	c.Flags().StringVar(&format, "format", "f", "FORMAT", "output: json")
	return c
}

func inspect(e *engine.Engine, name string) (any, error) {
	entry, err := e.Container(name)
	if err == nil {
		return containerDocument(&entry), nil
	}
	if !engine.IsUnknownContainer(err) {
		return nil, err
	}
	img, imgErr := e.Image(name)
	if engine.IsUnknownImage(imgErr) {
		return nil, fmt.Errorf("inspect: %w, and %w", err, imgErr)
	}
	if imgErr != nil {
		return nil, imgErr
	}
	return imageDocument(e, img)
}

// The documents have Docker's keys where Docker has them.
type containerState struct {
	Status     container.Status
	Running    bool
	Paused     bool
	OOMKilled  bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  time.Time
	FinishedAt time.Time
}

type hostConfig struct {
	NetworkMode    string
	AutoRemove     bool
	ReadonlyRootfs bool
	Init           bool
	isolationConfig
	resourcesConfig
}

type containerConfig struct {
	Hostname   string
	Domainname string
	Tty        bool
	OpenStdin  bool
	oci.Config
}

type graphDriver struct {
	Name string
	Data map[string]string
}

type mountPoint struct {
	Type        string
	Source      string
	Destination string
	Mode        string // the options that were asked for
	RW          bool
}

func mountPoints(mounts []container.Mount) []mountPoint {
	points := []mountPoint{}
	for _, m := range mounts {
		points = append(points, mountPoint{
			m.Type, m.Source, m.Target, strings.Join(m.Options, ","), !slices.Contains(m.Options, "ro"),
		})
	}
	return points
}

type inspectedContainer struct {
	Id          string
	Created     time.Time
	Path        string
	Args        []string
	State       containerState
	Image       oci.Digest
	Name        string
	HostConfig  hostConfig
	GraphDriver graphDriver
	Mounts      []mountPoint
	Config      containerConfig
	Rootfs      string       `json:",omitempty"`
	Layers      []oci.Digest // the stack, oldest first
}

func containerDocument(e *container.Entry) inspectedContainer {
	r, s := &e.Record, e.State
	command := append(append([]string{}, r.Config.Entrypoint...), r.Config.Cmd...)
	d := inspectedContainer{
		Id: r.ID, Created: r.Created, Image: r.ImageID, Name: "/" + r.DisplayName(), Mounts: mountPoints(r.Host.Mounts),
		State: containerState{
			Status: s.Status, Running: s.Running(), Paused: s.Status == container.Paused, OOMKilled: s.OOMKilled, Pid: s.Pid, ExitCode: s.ExitCode,
			Error: s.Error, StartedAt: s.Started, FinishedAt: s.Finished,
		},
		HostConfig:  hostConfig{r.Host.Network, r.AutoRemove, r.Host.ReadOnly, r.Host.Init, isolationDocument(&r.Host.Isolation), resourcesDocument(&r.Host)},
		GraphDriver: graphDriver{"overlay", map[string]string{"UpperDir": e.Path + "/upper", "WorkDir": e.Path + "/work"}},
		Config:      containerConfig{r.Host.Hostname, r.Host.Domainname, r.Host.Terminal, r.Host.OpenStdin, r.Config},
		Rootfs:      r.Rootfs, Layers: r.Layers,
	}
	if len(command) > 0 {
		d.Path, d.Args = command[0], command[1:]
	}
	return d
}

type inspectedImage struct {
	Id           oci.Digest
	RepoTags     []string
	RepoDigests  []string
	Comment      string
	Created      *time.Time
	Author       string
	Config       oci.Config
	Architecture string
	Variant      string `json:",omitempty"`
	Os           string
	Size         int64 // bytes of the files in all layers
	RootFS       struct {
		Type   string
		Layers []oci.Digest
	}
	Descriptor oci.Digest // of the manifest
	History    []oci.History
}

func imageDocument(e *engine.Engine, img image.Image) (inspectedImage, error) {
	bytes, err := e.ImageSize(img)
	d := inspectedImage{
		Id: img.ID, RepoTags: []string{}, RepoDigests: []string{}, Created: img.Config.Created, Author: img.Config.Author,
		Config: img.Config.Config, Architecture: img.Config.Architecture, Variant: img.Config.Variant,
		Os: img.Config.OS, Size: bytes, Descriptor: img.Manifest, History: img.Config.History,
	}
	d.RootFS.Type, d.RootFS.Layers = "layers", img.Layers
	for _, name := range img.Names {
		if name.Digest != "" {
			d.RepoDigests = append(d.RepoDigests, name.Familiar())
		} else {
			d.RepoTags = append(d.RepoTags, name.Familiar())
		}
	}
	if n := len(d.History); n > 0 {
		d.Comment = d.History[n-1].Comment
	}
	return d, err
}
