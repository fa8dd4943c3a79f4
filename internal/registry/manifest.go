// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"strata/internal/oci"
)

// A Document is a manifest or an index as it was received.
type Document struct {
	MediaType string
	Digest    oci.Digest
	Data      []byte
}

// IsIndex reports whether the document lists others.
func (d Document) IsIndex() bool { return isIndex(d.MediaType) }

var accepted = []string{oci.MediaTypeManifest, oci.MediaTypeIndex, oci.MediaTypeDockerManifest, oci.MediaTypeDockerIndex}

func isIndex(mediaType string) bool {
	return mediaType == oci.MediaTypeIndex || mediaType == oci.MediaTypeDockerIndex
}

func isManifest(mediaType string) bool {
	return mediaType == oci.MediaTypeManifest || mediaType == oci.MediaTypeDockerManifest
}

func pullScope(repository string) string { return "repository:" + repository + ":pull" }
func pushScope(repository string) string { return "repository:" + repository + ":pull,push" }

// Manifest gets what ref names, by its digest if it has one, otherwise by its
// tag. What is there for a digest has that digest.
func (r *Repository) Manifest(ctx context.Context, ref oci.Reference) (d Document, err error) {
	err = r.read(ctx, ref.Digest != "", func(e *endpoint) error {
		d, err = e.manifest(ctx, ref, pullScope(e.name))
		return err
	})
	if err != nil {
		return Document{}, fmt.Errorf("manifest %s: %w", tagOrDigest(ref), err)
	}
	return d, nil
}

func (e *endpoint) manifest(ctx context.Context, ref oci.Reference, scope string) (Document, error) {
	resp, err := e.send(ctx, request{
		method: http.MethodGet, path: path(e.name, "manifests", tagOrDigest(ref)),
		header: http.Header{"Accept": {strings.Join(accepted, ", ")}},
		scopes: []string{scope}, expect: []int{http.StatusOK},
	})
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, oci.MaxDocument+1))
	switch {
	case err != nil:
		return Document{}, e.host.explained(err)
	case len(data) > oci.MaxDocument:
		return Document{}, fmt.Errorf("%s: larger than %d bytes", e.host.name, oci.MaxDocument)
	}
	d := Document{Digest: oci.FromBytes(data), Data: data}
	if err := d.verify(ref.Digest, resp.Header.Get("Docker-Content-Digest")); err != nil {
		return Document{}, fmt.Errorf("%s: %w", e.host.name, err)
	}
	d.MediaType, err = mediaType(data, resp.Header.Get("Content-Type"))
	return d, err
}

// verify compares the document with the digest that was asked for and with that
// which the registry gives it.
func (d Document) verify(want oci.Digest, header string) error {
	if want != "" && d.Digest != want {
		return fmt.Errorf("what the registry sends has the digest %s", d.Digest)
	}
	named, err := oci.ParseDigest(header)
	if want == "" && err == nil && named != d.Digest {
		return fmt.Errorf("what the registry sends has the digest %s, and not %s as it says", d.Digest, named)
	}
	return nil
}

// mediaType is what the document says it is or, where it says nothing, what the
// registry calls it (CVE-2021-41190: the two must not differ).
func mediaType(data []byte, header string) (string, error) {
	var document struct {
		SchemaVersion int    `json:"schemaVersion"`
		MediaType     string `json:"mediaType"`
		Manifests     json.RawMessage
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return "", fmt.Errorf("parse manifest: %w", err)
	}
	called, _, _ := mime.ParseMediaType(header)
	switch {
	case document.SchemaVersion == 1 || strings.HasPrefix(called, "application/vnd.docker.distribution.manifest.v1+"):
		return "", errors.New("it has schema version 1, which is not supported: push the image again with a current tool")
	case document.MediaType == "" && slices.Contains(accepted, called):
		return called, nil
	case document.MediaType == "" && document.Manifests != nil:
		return oci.MediaTypeIndex, nil
	case document.MediaType == "":
		return oci.MediaTypeManifest, nil
	case slices.Contains(accepted, called) && called != document.MediaType:
		return "", fmt.Errorf("the registry calls it %s, it calls itself %s (CVE-2021-41190)", called, printable(document.MediaType))
	case !slices.Contains(accepted, document.MediaType):
		return "", fmt.Errorf("media type %q is not an image's", printable(document.MediaType))
	}
	return document.MediaType, nil
}

// Digest asks what a tag names, without getting it. It is "" where the registry
// does not say.
func (r *Repository) Digest(ctx context.Context, ref oci.Reference) (digest oci.Digest, err error) {
	err = r.read(ctx, ref.Digest != "", func(e *endpoint) error {
		digest, err = e.digest(ctx, ref)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("manifest %s: %w", tagOrDigest(ref), err)
	}
	return digest, nil
}

func (e *endpoint) digest(ctx context.Context, ref oci.Reference) (oci.Digest, error) {
	resp, err := e.send(ctx, request{
		method: http.MethodHead, path: path(e.name, "manifests", tagOrDigest(ref)),
		header: http.Header{"Accept": {strings.Join(accepted, ", ")}},
		scopes: []string{pullScope(e.name)}, expect: []int{http.StatusOK},
	})
	if err != nil {
		return "", err
	}
	digest, _ := oci.ParseDigest(resp.Header.Get("Docker-Content-Digest"))
	return digest, resp.Body.Close()
}

// PutManifest uploads a manifest or an index, whose blobs must be there, under
// its digest and, if ref has one, a tag. Where it has a subject, and the registry
// does not know the referrers API, the list of referrers is kept in a tag
// (distribution-spec, "Pushing Manifests with Subject").
func (r *Repository) PutManifest(ctx context.Context, ref oci.Reference, d Document) error {
	e := r.own()
	if ref.Tag != "" {
		ref.Digest = ""
	} else {
		ref.Digest = d.Digest
	}
	noted, err := e.put(ctx, tagOrDigest(ref), d)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", tagOrDigest(ref), err)
	}
	if err := e.refer(ctx, d, noted); err != nil {
		return fmt.Errorf("referrers of the subject of %s: %w", d.Digest, err)
	}
	return nil
}

// put returns whether the registry has taken note of the subject.
func (e *endpoint) put(ctx context.Context, name string, d Document) (noted bool, err error) {
	resp, err := e.send(ctx, request{
		method: http.MethodPut, path: path(e.name, "manifests", name),
		header: http.Header{"Content-Type": {d.MediaType}},
		body:   func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(d.Data)), nil }, length: int64(len(d.Data)),
		scopes: []string{pushScope(e.name)}, expect: []int{http.StatusCreated, http.StatusOK, http.StatusAccepted},
	})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	named, err := oci.ParseDigest(resp.Header.Get("Docker-Content-Digest"))
	if err == nil && named != d.Digest {
		return false, fmt.Errorf("%s: the registry has stored %s in place of %s", e.host.name, named, d.Digest)
	}
	return resp.Header.Get("OCI-Subject") != "", nil
}
