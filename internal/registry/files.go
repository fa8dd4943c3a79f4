// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Files are where configuration is looked for.
type Files struct {
	Auth           []string // credentials, in their order
	Login          string   // where new ones go
	Named          bool     // the first of Auth was named by the user
	Explicit       bool     // and on the command line: it must be there
	Registries     []string // registries.conf: the first one that is there
	RegistriesDirs []string // registries.conf.d: all of them
	Certificates   []string // certs.d: the first that has the host
}

// DefaultFiles are those of Docker and Podman. authFile, if not "", is the first
// with credentials, and where new ones go.
func DefaultFiles(getenv func(string) string, authFile string) Files {
	home := homeOf(getenv)
	config := orDefault(getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
	docker := orDefault(getenv("DOCKER_CONFIG"), filepath.Join(home, ".docker"))
	runtime := orDefault(getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/containers", strconv.Itoa(os.Getuid())))
	if getenv("XDG_RUNTIME_DIR") != "" {
		runtime = filepath.Join(runtime, "containers")
	}
	f := Files{Explicit: authFile != "", Login: filepath.Join(docker, "config.json")}
	for _, named := range []string{authFile, getenv("REGISTRY_AUTH_FILE")} {
		if named != "" {
			f.Auth = append(f.Auth, named)
		}
	}
	if len(f.Auth) > 0 {
		f.Login, f.Named = f.Auth[0], true
	}
	f.Auth = append(f.Auth, filepath.Join(runtime, "auth.json"), filepath.Join(config, "containers/auth.json"), filepath.Join(docker, "config.json"))
	f.Registries = []string{filepath.Join(config, "containers/registries.conf"), "/etc/containers/registries.conf"}
	f.RegistriesDirs = []string{"/etc/containers/registries.conf.d", filepath.Join(config, "containers/registries.conf.d")}
	if named := getenv("CONTAINERS_REGISTRIES_CONF"); named != "" {
		f.Registries = []string{named}
	}
	f.Certificates = []string{filepath.Join(config, "containers/certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"}
	return f
}

// homeOf is the user's home directory, and never the current one.
func homeOf(getenv func(string) string) string {
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return home
	}
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return "/nonexistent"
}

// maxFile is how much of a file of configuration is read, in bytes.
const maxFile = 4 << 20

// readFile is os.ReadFile for a file that is small.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return data, err
}

// isAbsent: of a file at its usual place that we may not read, somebody else is
// the owner, and in a user namespace /run/containers/0 is root's of the host.
func isAbsent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

// configuration reads registries.conf and what is beside it.
func (f Files) configuration() (*Configuration, error) {
	files := slices.DeleteFunc(slices.Clone(f.Registries), func(path string) bool {
		_, err := os.Stat(path)
		return err != nil && errors.Is(err, os.ErrNotExist)
	})
	files = files[:min(1, len(files))]
	for _, dir := range f.RegistriesDirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !isAbsent(err) && !errors.Is(err, os.ErrInvalid) {
			return nil, fmt.Errorf("read registries.conf.d: %w", err)
		}
		for _, entry := range entries { // in the order of their names
			if strings.HasSuffix(entry.Name(), ".conf") && !entry.IsDir() {
				files = append(files, filepath.Join(dir, entry.Name()))
			}
		}
	}
	c := &Configuration{}
	for _, path := range files {
		data, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("read registries.conf: %w", err)
		}
		if err := c.add(data); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return c, nil
}
