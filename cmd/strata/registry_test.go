// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"strata/internal/dockerregistry"
)

// registriesFile is beside the root filesystem of the tests. It keeps them, and
// what they run, from asking Docker Hub.
const registriesFile = "registries.conf"

func blockRegistries(dir string) error {
	path := filepath.Join(dir, registriesFile)
	os.Setenv("CONTAINERS_REGISTRIES_CONF", path)
	return os.WriteFile(path, []byte("[[registry]]\nprefix = \"docker.io\"\nblocked = true\n"), 0o644)
}

// startRegistry puts the address of a new registry into a variable; with tls its
// CA is in the file NAME.crt.
func startRegistry(ts *script, args []string) {
	var o dockerregistry.Options
	for _, option := range args[1:] {
		switch option {
		case "tls":
			o.TLS = true
		case "password":
			o.Password = true
		default:
			ts.Fatalf("registry %s: unknown", option)
		}
	}
	dir := ts.MkAbs("registry-" + args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	r, err := dockerregistry.Start(dir, o)
	ts.Check(err)
	ts.Defer(func() { ts.Check(r.Stop()) })
	if o.TLS {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), r.CA, 0o644))
	}
	ts.Setenv(args[0], r.Address)
}
