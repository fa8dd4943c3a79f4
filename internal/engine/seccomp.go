// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/seccomp"
)

// seccompDir of the store has compiled filters, named by all that they depend on.
const seccompDir = "seccomp"

// useSeccomp puts the profile itself in the place of its file's name. One that
// does not compile is an error here, before anything is made.
func (e *Engine) useSeccomp(r *container.Record) error {
	profile := r.Host.Seccomp
	if profile == "" || profile == container.SeccompUnconfined || profile == container.SeccompBuiltin {
		return nil
	}
	content, err := readProfile(profile)
	if err != nil {
		return fmt.Errorf("read a seccomp profile: %w; give a file of JSON, builtin or unconfined", err)
	}
	if !strings.Contains(content, "{") { // a file that says "unconfined" is no profile
		_, err = seccomp.Parse([]byte(content))
	} else {
		r.Host.Seccomp = content
		_, err = e.newFilter(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", profile, err)
	}
	return nil
}

// readProfile reads no more than a profile may have, so that a device or pipe
// does no harm.
func readProfile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, seccomp.MaxProfile+1))
	if err == nil && len(data) > seccomp.MaxProfile {
		err = fmt.Errorf("%s: it is larger than %d bytes", path, seccomp.MaxProfile)
	}
	return string(data), err
}

// foundFilter is the filter that was looked for last: a container's is asked for
// when it is made and when it is started.
type foundFilter struct {
	profile string
	caps    []string
	filter  *seccomp.Filter
	name    string // to keep it by, if that is to be done
}

// filter is the seccomp filter of a container's processes, nil for none. One
// that had to be compiled is kept.
func (e *Engine) filter(r *container.Record) (*seccomp.Filter, error) {
	found, err := e.findFilter(r)
	if err != nil {
		return nil, err
	}
	if found.name != "" {
		e.keepFilter(found.name, found.filter)
		found.name = ""
	}
	return found.filter, nil
}

// newFilter is filter that keeps nothing on disk.
func (e *Engine) newFilter(r *container.Record) (*seccomp.Filter, error) {
	found, err := e.findFilter(r)
	if err != nil {
		return nil, err
	}
	return found.filter, nil
}

// findFilter finds a filter that is there already, the ready-made one of the
// default profile or one that was kept, or compiles it.
func (e *Engine) findFilter(r *container.Record) (*foundFilter, error) {
	profile := profileOf(r)
	if profile == "" {
		return &foundFilter{}, nil
	}
	target, err := filterTarget(r)
	if err != nil {
		return nil, err
	}
	if h := r.Host.Seccomp; h == "" || h == container.SeccompBuiltin {
		if f, ok := seccomp.Ready(target.Capabilities); ok {
			return &foundFilter{filter: &f}, nil
		}
	}
	if last := e.found; last != nil && last.profile == profile && slices.Equal(last.caps, target.Capabilities) {
		return last, nil
	}
	found := &foundFilter{profile: profile, caps: target.Capabilities}
	name := filterName(profile, target)
	if f, ok := e.cachedFilter(name); ok {
		found.filter = &f
	} else {
		found.name = name
		found.filter, err = compileFilter(profile, target)
	}
	if err != nil {
		return nil, err
	}
	e.found = found
	return found, nil
}

// profileOf is a container's profile in JSON, or "" for none: the default one
// unless another was asked for or, by Docker's rule, it is privileged.
func profileOf(r *container.Record) string {
	switch profile := r.Host.Seccomp; {
	case profile == container.SeccompUnconfined, profile == "" && r.Host.Privileged:
		return ""
	case profile == "", profile == container.SeccompBuiltin:
		return seccomp.Builtin()
	default:
		return profile
	}
}

func filterTarget(r *container.Record) (seccomp.Target, error) {
	caps, err := capabilities(r)
	return seccomp.Target{Arch: runtime.GOARCH, Capabilities: caps, Kernel: seccomp.RunningKernel()}, err
}

// filterName is the digest of all that a compiled filter depends on.
func filterName(profile string, t seccomp.Target) string {
	digest := seccomp.BuiltinDigest()
	if profile != seccomp.Builtin() {
		digest = hexDigest(profile)
	}
	caps := strings.Join(slices.Sorted(slices.Values(t.Capabilities)), ",")
	return hexDigest(fmt.Sprintf("%d %s %s %s %s", seccomp.Version, t.Arch, t.Kernel, caps, digest))
}

func hexDigest(s string) string {
	sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(s), len(s))) // not []byte(s), which copies
	return hex.EncodeToString(sum[:])
}

func compileFilter(profile string, t seccomp.Target) (*seccomp.Filter, error) {
	p, err := seccomp.Parse([]byte(profile))
	if err != nil {
		return nil, err
	}
	f, err := p.Compile(t)
	return &f, err
}

// cachedFilter reads what keepFilter has kept. Whatever is wrong with it, the
// profile is compiled again.
func (e *Engine) cachedFilter(name string) (seccomp.Filter, bool) {
	dir, err := e.store.Dir(seccompDir)
	if err != nil {
		return seccomp.Filter{}, false
	}
	defer dir.Close()
	data, err := durable.ReadFile(dir, name, seccomp.MaxFile)
	if err != nil {
		return seccomp.Filter{}, false
	}
	return seccomp.Unmarshal(data)
}

// keepFilter writes the cache. An error only means that the profile is compiled
// the next time too.
func (e *Engine) keepFilter(name string, f *seccomp.Filter) {
	dir, err := e.store.Dir(seccompDir)
	if errors.Is(err, os.ErrNotExist) {
		if unix.Mkdir(filepath.Join(e.root, seccompDir), 0o700) == nil {
			dir, err = e.store.Dir(seccompDir)
		}
	}
	if err != nil {
		return
	}
	defer dir.Close()
	durable.WriteFileRelaxed(dir, name, f.Marshal(), 0o600)
}

// dropFilters empties the cache.
func (e *Engine) dropFilters() error {
	entries, err := os.ReadDir(filepath.Join(e.root, seccompDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if rmErr := os.Remove(filepath.Join(e.root, seccompDir, entry.Name())); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}
