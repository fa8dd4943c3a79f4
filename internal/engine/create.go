// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strata/internal/container"
	"strata/internal/image"
	"strata/internal/oci"
)

// CreateOptions are what the command line asks of a new container.
type CreateOptions struct {
	Image      string
	Rootfs     string // a directory in place of an image
	Command    []string
	Entrypoint *string // nil: the image's; "": none
	Name       string
	Env        []string // NAME=VALUE
	Labels     map[string]string
	User       string
	WorkDir    string
	AutoRemove bool
	Host       container.Host
}

// Create makes a container and returns it locked; the caller closes it.
func (e *Engine) Create(o CreateOptions) (*container.Container, error) {
	r, err := e.record(o)
	if err != nil {
		return nil, err
	}
	return e.create(r, o)
}

// create makes a container of what record has begun.
func (e *Engine) create(r container.Record, o CreateOptions) (*container.Container, error) {
	lease, err := e.store.Share()
	if err != nil {
		return nil, err
	}
	return e.createWith(lease, r, o)
}

// createWith is create with the store's shared lock, which becomes the container's.
func (e *Engine) createWith(lease io.Closer, r container.Record, o CreateOptions) (*container.Container, error) {
	if err := e.complete(&r, o); err != nil {
		return nil, errors.Join(err, lease.Close())
	}
	return e.containers.Create(r, lease)
}

// complete fills in what comes from the image. The caller holds the shared lock.
func (e *Engine) complete(r *container.Record, o CreateOptions) error {
	if o.Rootfs == "" {
		if err := e.useImage(r, o.Image); err != nil {
			return err
		}
	}
	configure(&r.Config, o)
	if len(r.Config.Entrypoint)+len(r.Config.Cmd) == 0 {
		if o.Rootfs != "" {
			return errors.New("no command given: name one after the options")
		}
		return errors.New("no command given, and the image has none; name one after the image")
	}
	return nil
}

// record is what of the container does not depend on the image.
func (e *Engine) record(o CreateOptions) (container.Record, error) {
	r := container.Record{
		ID: container.NewID(), Name: o.Name, Created: time.Now().UTC(), Image: o.Image,
		Host: o.Host, AutoRemove: o.AutoRemove,
	}
	if o.Name != "" {
		if err := container.CheckName(o.Name); err != nil {
			return r, err
		}
	}
	if err := e.resolveModes(&r); err != nil {
		return r, err
	}
	if err := e.useSeccomp(&r); err != nil {
		return r, err
	}
	if r.Host.Hostname == "" {
		r.Host.Hostname = r.ID[:12]
	}
	if o.Rootfs != "" {
		dir, err := filepath.Abs(o.Rootfs)
		if err == nil {
			dir, err = filepath.EvalSymlinks(dir)
		}
		if err != nil {
			return r, fmt.Errorf("rootfs %s: %w", o.Rootfs, errors.Unwrap(err))
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return r, fmt.Errorf("rootfs %s: it is not a directory", o.Rootfs)
		}
		r.Rootfs = dir
	}
	return r, nil
}

// useImage makes the container one of the image called name.
func (e *Engine) useImage(r *container.Record, name string) error {
	img, err := e.images.Start(name)
	if IsUnknownImage(err) && isMini(name) {
		if _, err = e.installMini(); err == nil {
			img, err = e.images.Start(name)
		}
	}
	r.ImageID, r.Manifest, r.Layers, r.Config = img.ID, img.Manifest, img.Layers, img.Config
	return err
}

// resolve finds an image, and makes the embedded one at its first use. The
// caller holds the shared lock.
func (e *Engine) resolve(name string) (image.Image, error) {
	img, err := e.images.Resolve(name)
	var unknown *image.UnknownError
	if errors.As(err, &unknown) && isMini(name) {
		return e.installMini()
	}
	return img, err
}

// configure puts what the command line says over the image's config, by
// Docker's rules: an entrypoint clears the image's command.
func configure(c *oci.Config, o CreateOptions) {
	if o.Entrypoint != nil {
		c.Entrypoint, c.Cmd = nil, nil
		if *o.Entrypoint != "" {
			c.Entrypoint = []string{*o.Entrypoint}
		}
	}
	if len(o.Command) > 0 {
		c.Cmd = o.Command
	}
	if o.User != "" {
		c.User = o.User
	}
	if o.WorkDir != "" {
		c.WorkingDir = o.WorkDir
	}
	c.Env = mergeEnv(c.Env, o.Env)
	if len(o.Labels) > 0 {
		labels := maps.Clone(c.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, o.Labels)
		c.Labels = labels
	}
}

// mergeEnv puts over on top of env; a name that both have keeps its place.
func mergeEnv(env, over []string) []string {
	merged := slices.Clone(env)
	for _, v := range over {
		name, _, _ := strings.Cut(v, "=")
		i := slices.IndexFunc(merged, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if i < 0 {
			merged = append(merged, v)
		} else {
			merged[i] = v
		}
	}
	return merged
}
