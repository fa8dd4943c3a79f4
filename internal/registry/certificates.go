// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tls is the configuration for a host, with what the first directory of its name
// has: *.crt are CAs that are trusted besides the system's, NAME.cert and
// NAME.key are our own certificate (containers-certs.d(5)).
func (f Files) tls(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, parent := range f.Certificates {
		dir := filepath.Join(parent, host)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		for _, entry := range entries {
			if err := addCertificate(config, filepath.Join(dir, entry.Name())); err != nil {
				return nil, fmt.Errorf("read certificates: %w", err)
			}
		}
		break
	}
	return config, nil
}

func addCertificate(config *tls.Config, file string) error {
	name, ours := strings.CutSuffix(file, ".cert")
	switch {
	case ours:
		pair, err := tls.LoadX509KeyPair(file, name+".key")
		if err != nil {
			return err
		}
		config.Certificates = append(config.Certificates, pair)
	case strings.HasSuffix(file, ".crt"):
		return addCA(config, file)
	}
	return nil
}

func addCA(config *tls.Config, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: it holds no certificate in PEM", file)
	}
	return nil
}

// certificateHint is where a CA for host would be found.
func (f Files) certificateHint(host string) string {
	if len(f.Certificates) == 0 {
		return "certs.d"
	}
	return filepath.Join(f.Certificates[len(f.Certificates)-1], host, "ca.crt")
}
