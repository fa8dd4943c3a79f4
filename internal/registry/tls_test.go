// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"strata/internal/oci"
)

// A registry on this machine may be plain or in TLS; a certificate must be right
// unless registries.conf says that it need not be.
func TestTLS(t *testing.T) {
	f := newFake(t)
	f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
	server := httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(server.Close)
	domain := strings.TrimPrefix(server.URL, "https://")
	get := func(files Files) error {
		client, _ := newTestClient(t, Options{Files: files})
		ref := oci.Reference{Domain: domain, Repository: "a", Tag: "1"}
		r, err := client.Repository(ref)
		if err == nil {
			_, err = r.Manifest(t.Context(), ref)
		}
		return err
	}
	certs := t.TempDir()
	wantError(t, get(Files{Certificates: []string{certs}}), "certificate signed by unknown authority; if it is the right server put its CA into "+certs)

	insecure := withRegistries(t, fmt.Sprintf("[[registry]]\nlocation = '%s'\ninsecure = true\n", domain))
	if err := get(insecure); err != nil {
		t.Error(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	write(t, filepath.Join(certs, domain, "any.crt"), string(ca), 0o600)
	if err := get(Files{Certificates: []string{filepath.Join(certs, "absent"), certs}}); err != nil {
		t.Error(err)
	}
	f.wantTokens("http://127.0.0.1/token") // what began in TLS stays there
	wantError(t, get(Files{Certificates: []string{certs}}), "the token server 127.0.0.1 is not encrypted")
	f.before = nil
	write(t, filepath.Join(certs, domain, "any.crt"), "no certificate", 0o600)
	wantError(t, get(Files{Certificates: []string{certs}}), "any.crt: it holds no certificate in PEM")
	write(t, filepath.Join(certs, domain, "any.crt"), string(ca), 0o600)
	write(t, filepath.Join(certs, domain, "client.cert"), string(ca), 0o600)
	wantError(t, get(Files{Certificates: []string{certs}}), "client.key")
}

func TestHostNames(t *testing.T) {
	client, _ := newTestClient(t, Options{})
	for name, want := range map[string]string{"docker.io": "registry-1.docker.io", "quay.example": "quay.example"} {
		h, err := client.host(name, false)
		if err != nil || h.server != want || h.scheme != "https" {
			t.Errorf("%s: got %s, %q, %v, want %s", name, h.server, h.scheme, err, want)
		}
	}
	for name, want := range map[string]bool{
		"localhost": true, "LOCALHOST:5000": true, "127.0.0.1:5000": true, "127.1.2.3": true, "[::1]:5000": true, "[::1]": true,
		"localhost.example": false, "127.0.0.1.example:5000": false, "10.0.0.1": false, "registry.example": false, "0.0.0.0": false,
	} {
		if got := isLoopback(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// Nobody is there, or somebody who speaks no HTTP.
func TestNobodyThere(t *testing.T) {
	client, w := newTestClient(t, Options{})
	ref := oci.Reference{Domain: "127.0.0.1:1", Repository: "a", Tag: "1"}
	r, err := client.Repository(ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Manifest(t.Context(), ref)
	wantError(t, err, "manifest 1: 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused")
	if len(w.pauses) > 0 {
		t.Errorf("it tried again after %v", w.pauses)
	}
}
