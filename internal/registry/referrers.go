// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"strata/internal/oci"
)

// refer adds a document that has a subject to the list of the subject's
// referrers in the tag that its digest gives, unless the registry has noted it.
// Two that do this at once may lose one of them: the specification has no better
// way.
func (e *endpoint) refer(ctx context.Context, d Document, noted bool) error {
	var fields struct {
		Subject      *oci.Descriptor   `json:"subject"`
		ArtifactType string            `json:"artifactType"`
		Config       oci.Descriptor    `json:"config"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(d.Data, &fields); err != nil {
		return err
	}
	if fields.Subject == nil || noted {
		return nil
	}
	tag := strings.Replace(string(fields.Subject.Digest), ":", "-", 1)
	list, err := e.referrers(ctx, tag)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list.Manifests, func(m oci.Descriptor) bool { return m.Digest == d.Digest }) {
		return nil
	}
	list.Manifests = append(list.Manifests, oci.Descriptor{
		MediaType: d.MediaType, Digest: d.Digest, Size: int64(len(d.Data)),
		ArtifactType: orDefault(fields.ArtifactType, fields.Config.MediaType), Annotations: fields.Annotations,
	})
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	_, err = e.put(ctx, tag, Document{MediaType: oci.MediaTypeIndex, Digest: oci.FromBytes(data), Data: data})
	return err
}

// referrers is the list in a fallback tag, empty where there is none.
func (e *endpoint) referrers(ctx context.Context, tag string) (oci.Index, error) {
	list := oci.Index{SchemaVersion: 2, MediaType: oci.MediaTypeIndex, Manifests: []oci.Descriptor{}}
	d, err := e.manifest(ctx, oci.Reference{Tag: tag}, pushScope(e.name))
	if IsNotFound(err) {
		return list, nil
	}
	if err != nil {
		return list, err
	}
	return oci.ParseIndex(d.Data)
}
