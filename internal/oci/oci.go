// SPDX-License-Identifier: Apache-2.0

// Package oci holds the values of the OCI image specification and of Docker's
// image format: digests, references, descriptors, manifests, indexes and
// configs. It reads and writes nothing; what it parses is checked, because it
// comes from a registry or an archive that somebody else made.
package oci

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxDocument is the largest manifest, index or config that is parsed, in bytes
// (distribution-spec: registries should accept manifests of 4 MiB).
const MaxDocument = 4 << 20

// ChainID names a layer together with all beneath it (image-spec,
// config.md#layer-chainid). The layers are given oldest first; the chainID of
// none is the zero Digest.
func ChainID(diffIDs []Digest) Digest {
	var chain Digest
	for _, id := range diffIDs {
		if chain == "" {
			chain = id
			continue
		}
		sum := sha256.Sum256([]byte(string(chain) + " " + string(id)))
		chain = FromSum(sum[:])
	}
	return chain
}

// decode parses a whole document into v. What stands behind the document is an
// error: a digest covers it, and two readers might disagree about which part
// counts.
func decode(document string, data []byte, v any) error {
	if len(data) > MaxDocument {
		return fmt.Errorf("parse %s: %d bytes, more than the %d allowed", document, len(data), MaxDocument)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("parse %s: %w", document, err)
	}
	return nil
}

func malformed(document, format string, args ...any) error {
	return fmt.Errorf("parse %s: %w", document, fmt.Errorf(format, args...))
}

var errNoDigest = errors.New("no digest")
