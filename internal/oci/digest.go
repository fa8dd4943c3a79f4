// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Digest is "sha256:" and 64 lower-case hexadecimal digits (image-spec,
// descriptor.md#digests). A Digest that came from ParseDigest is safe to use as
// a file name; the zero value is no digest.
type Digest string

const algorithm = "sha256:"

var errDigest = errors.New("not a digest of the form sha256:<64 hexadecimal digits>")

// ParseDigest checks s before anything makes a path of it (CVE-2024-3727).
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, algorithm)
	if !ok || !isHex(digits) || len(digits) != sha256.Size*2 {
		return "", fmt.Errorf("digest %q: %w", s, errDigest)
	}
	return Digest(s), nil
}

// FromBytes is the digest of b.
func FromBytes(b []byte) Digest {
	sum := sha256.Sum256(b)
	return FromSum(sum[:])
}

// FromSum makes a digest of a finished SHA-256 sum.
func FromSum(sum []byte) Digest { return Digest(algorithm + hex.EncodeToString(sum)) }

// Hex is the 64 digits without the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), algorithm) }

// Short is the first twelve digits, as listings show them.
func (d Digest) Short() string {
	digits := d.Hex()
	return digits[:min(12, len(digits))]
}

func (d Digest) String() string { return string(d) }

// UnmarshalText refuses what ParseDigest refuses, so that a digest read from a
// document can be trusted as a name.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
