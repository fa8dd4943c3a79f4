// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"strata/internal/durable"
	"strata/internal/oci"
)

// A Start is what starting a container needs of an image.
type Start struct {
	ID, Manifest oci.Digest
	Layers       []oci.Digest // diffIDs, oldest first
	Config       oci.Config
}

// Start is Resolve for the way of a start. JSON's reflection takes a third of a
// millisecond the first time in a process, so what a start needs is kept beside
// the images in a form that needs none. It is a cache: whatever is wrong with it,
// the documents are read.
func (i *Images) Start(name string) (Start, error) {
	if s, ok := i.cachedStart(name); ok {
		return s, nil
	}
	img, err := i.Resolve(name)
	if err != nil {
		return Start{}, err
	}
	s := Start{ID: img.ID, Manifest: img.Manifest, Layers: img.Layers, Config: img.Config.Config}
	i.cacheStart(s)
	return s, nil
}

func (i *Images) cachedStart(name string) (Start, bool) {
	ref, err := oci.ParseReference(name)
	if err != nil || ref.Digest != "" {
		return Start{}, false
	}
	manifest, ok := i.plainName(ref.WithDefaultTag())
	if !ok {
		return Start{}, false
	}
	data, err := durable.ReadFile(i.dir, startDir+"/"+manifest.Hex(), oci.MaxDocument)
	if err != nil {
		return Start{}, false
	}
	s, ok := parseStart(data)
	return s, ok && s.Manifest == manifest
}

// plainName reads the file of a name as Tag writes it, byte for byte.
func (i *Images) plainName(ref oci.Reference) (oci.Digest, bool) {
	data, err := durable.ReadFile(i.dir, nameDir+"/"+fileOf(ref), maxRecord)
	if err != nil {
		return "", false
	}
	text, ok := strings.CutPrefix(string(data), `{"version":1,"name":"`+ref.String()+`","manifest":"`)
	if !ok {
		return "", false
	}
	text, ok = strings.CutSuffix(text, `"}`)
	if !ok {
		return "", false
	}
	digest, err := oci.ParseDigest(text)
	return digest, err == nil
}

// cacheStart writes the cache. An error only means that the documents are read
// again the next time.
func (i *Images) cacheStart(s Start) {
	data, err := s.marshal()
	if err != nil {
		return
	}
	dir, err := i.open(startDir)
	if err != nil {
		return
	}
	defer dir.Close()
	durable.WriteFileRelaxed(dir, s.Manifest.Hex(), data, 0o600)
}

// startMagic begins a cache file: strings follow, each a uvarint of its length
// and its bytes, lists with a uvarint of their length before them, and at the
// end the SHA-256 of all before.
const startMagic = "strata-start 1\n"

func (s Start) marshal() ([]byte, error) {
	c := s.Config
	rest := c // what is rare, as JSON, and empty for most images
	rest.User, rest.Env, rest.Entrypoint, rest.Cmd, rest.WorkingDir, rest.Labels = "", nil, nil, nil, "", nil
	more, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	if string(more) == "{}" {
		more = nil
	}
	b := []byte(startMagic)
	for _, one := range []string{string(s.ID), string(s.Manifest), c.User, c.WorkingDir, string(more)} {
		b = appendString(b, one)
	}
	var layers, labels []string
	for _, l := range s.Layers {
		layers = append(layers, string(l))
	}
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		labels = append(labels, k, c.Labels[k])
	}
	for _, list := range [][]string{layers, c.Env, c.Entrypoint, c.Cmd, labels} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, one := range list {
			b = appendString(b, one)
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseStart takes only what marshal has made, whole.
func parseStart(data []byte) (s Start, ok bool) {
	body := len(data) - sha256.Size
	if body < 0 || !bytes.HasPrefix(data, []byte(startMagic)) {
		return s, false
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return s, false
	}
	r := startReader{data: data[len(startMagic):body]}
	s.ID, s.Manifest = oci.Digest(r.string()), oci.Digest(r.string())
	s.Config.User, s.Config.WorkingDir = r.string(), r.string()
	more := r.string()
	for _, l := range r.list() {
		s.Layers = append(s.Layers, oci.Digest(l))
	}
	s.Config.Env, s.Config.Entrypoint, s.Config.Cmd = r.list(), r.list(), r.list()
	for labels := range slices.Chunk(r.list(), 2) {
		if s.Config.Labels == nil {
			s.Config.Labels = map[string]string{}
		}
		s.Config.Labels[labels[0]] = labels[len(labels)-1]
	}
	if more != "" && json.Unmarshal([]byte(more), &s.Config) != nil {
		return s, false
	}
	return s, !r.bad && len(r.data) == 0
}

// startReader reads what the digest has vouched for; bad is for what a file of
// ours never has.
type startReader struct {
	data []byte
	bad  bool
}

func (r *startReader) number() int {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[size:]
	return int(n)
}

func (r *startReader) string() string {
	n := r.number()
	if n > len(r.data) {
		r.bad, r.data = true, nil
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

func (r *startReader) list() []string {
	n := r.number()
	var list []string
	for range n {
		list = append(list, r.string())
	}
	return list
}
