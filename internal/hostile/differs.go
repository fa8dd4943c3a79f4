// SPDX-License-Identifier: Apache-2.0

package hostile

import "slices"

// A Peer is another program that applies layers.
type Peer string

const (
	Docker Peer = "docker" // moby/go-archive
	Podman Peer = "podman"
	Umoci  Peer = "umoci"
	Tar    Peer = "tar" // GNU tar, for archives without whiteouts
)

// Differs says why the peer makes something else of the layer, which is named by
// its group and name with a slash between, or "" where it agrees.
func Differs(peer Peer, layer string) string {
	for reason, layers := range differs[peer] {
		if slices.Contains(layers, layer) {
			return reason
		}
	}
	return ""
}

// Sometimes begins the reason of a difference that depends on the filesystem.
const Sometimes = "sometimes, "

// Reasons that several peers share.
const (
	followsLinks   = "it follows links, as in a chroot, where we refuse to write through a link of the archive and put a directory over one of a lower layer, which is what overlay does with such a layer"
	replacesNot    = "it does not put a directory over a file of a lower layer that no entry names"
	mendsDots      = "it takes the dots out of a name, or stays within its root by other means"
	skipsRoot      = "it takes entries for the root as nothing, or as a file in its place that is never seen"
	takesAnyOwner  = "it cuts ids off to 32 bits, which makes root of 2^32, or leaves an owner alone"
	takesAnyDevice = "it makes any device: 0:0 would be a whiteout in overlay form"
	keepsMarks     = "it sets attributes that overlay would take for its own"
	noMount        = "it shows a directory, not a mount: overlay hides attributes of another overlay"
	linkHeader     = "it gives a file the attributes of the last of its hard links' headers; as tar(1) we go by the file's own"
	rawXattrName   = "it does not decode the name of an attribute as GNU tar encodes it"
	ignoresXattr   = "it passes over an attribute that cannot be set"
	oldTimes       = "it moves times that it cannot hold to 1970 or to others"
	noSparse       = "it does not know GNU's old sparse files"
	cutHeader      = "it takes an archive that ends in an extended header, or behind one, for whole"
	trailing       = "it reads no further than the end of the archive, which counts for us because it is part of the digest"
	ordersMarks    = "it applies a whiteout where it stands, to entries of the same layer too (image-spec, layer.md: only to lower layers)"
	takesAnyMark   = "it makes something of whiteouts without a name"
	impliedByMark  = "it makes no directory for a whiteout alone"
	aufs           = "it knows bookkeeping of aufs in the root only, or not at all"
	mergesXattrs   = "it keeps the attributes that an earlier entry gave a directory"
	ownACL         = "it inherits a directory's default access list, or keeps such lists in records of its own"
)

// differs are the cases of each reason of each peer.
var differs = map[Peer]map[string][]string{
	Docker: {
		cutHeader: {"damaged/cut in a PAX header", "damaged/cut after a PAX header"},
		followsLinks: {
			"across layers/directory to link outside and then through it", "across layers/through a link beneath that leads out", "across layers/through a link beneath that leads within",
			"across layers/whiteout through a link beneath", "across layers/opaque through a link beneath",
			"parents/through an absolute link", "parents/through a link within", "parents/through a deep link", "parents/through a link that replaced a directory",
			"parents/through a link and dots", "parents/through two links", "parents/through procfs", "parents/directory through a link", "parents/device through a link",
			"parents/hard link placed through a link", "parents/link placed through a link",
		},
		replacesNot: {"across layers/file to implied directory", "across layers/pipe to directory"},
		mendsDots:   {"names/parent within", "names/parent at the end", "whiteouts/of a path"},
		"it refuses links that lead above its root, where they end in a chroot": {"links to lower layers/through a link beneath that leads up"},
		skipsRoot:      {"names/root is a file", "names/root is a link", "names/root is a hard link", "names/empty"},
		takesAnyOwner:  {"attributes/uid of 2^32", "attributes/uid of 2^32-1", "attributes/gid of 2^32-1", "attributes/negative uid"},
		takesAnyDevice: {"devices/whiteout as a device", "devices/whiteout by overflow", "devices/minor by overflow"},
		keepsMarks:     {"attributes/overlay's marks are stripped"},
		noMount:        {"attributes/a nested overlay's marks are kept"},
		linkHeader:     {"attributes/file that nobody may read", "devices/hard link to a device", "links to lower layers/copied", "links to lower layers/two names"},
		rawXattrName:   {"attributes/attribute with an equals sign"},
		"it sets attributes of what a link leads to": {"attributes/capability on a link", "attributes/trusted attribute on a link"},
		oldTimes:     {"attributes/before 1970", "attributes/before 1970 and nanoseconds", "attributes/GNU's binary negative time", "attributes/after 2262"},
		noSparse:     {"sparse/hole before", "sparse/hole after", "sparse/between others", "sparse/replaced"},
		trailing:     {"damaged/too much after the end"},
		ordersMarks:  {"across layers/new directory and whiteout", "whiteouts/after a file of its layer", "whiteouts/after a directory of its layer"},
		takesAnyMark: {"whiteouts/bare", "whiteouts/of dot", "whiteouts/with something beneath"},
		aufs:         {"whiteouts/aufs"},
		mergesXattrs: {"duplicates/directory over directory"},
		ownACL:       {"attributes/default access control list"},
	},
	Umoci: {
		cutHeader: {"damaged/cut in a PAX header", "damaged/cut after a PAX header"},
		followsLinks: {
			"across layers/directory to link outside and then through it", "across layers/through a link beneath that leads out", "across layers/through a link beneath that leads within",
			"across layers/whiteout through a link beneath", "across layers/opaque through a link beneath",
			"parents/through an absolute link", "parents/through a link upwards", "parents/through a link within", "parents/through a deep link", "parents/through a link that replaced a directory",
			"parents/through a link and dots", "parents/through two links", "parents/through procfs", "parents/directory through a link", "parents/device through a link",
			"parents/hard link placed through a link", "parents/link placed through a link", "whiteouts/through a link", "whiteouts/opaque through a link",
		},
		replacesNot: {"across layers/file to implied directory", "across layers/pipe to directory"},
		mendsDots: {
			"names/many slashes", "names/parent", "names/parent within", "names/parent at the end", "names/parent after dots", "names/control characters are quoted", "names/PAX path with dots",
			"whiteouts/of a path",
		},
		"it does not know global headers": {"names/global header"},
		takesAnyOwner:                     {"attributes/uid of 2^32", "attributes/uid of 2^32-1", "attributes/gid of 2^32-1", "attributes/negative uid"},
		takesAnyDevice:                    {"devices/whiteout as a device", "devices/whiteout by overflow", "devices/minor by overflow", "devices/device with a negative number"},
		noMount:                           {"attributes/a nested overlay's marks are kept"},
		rawXattrName:                      {"attributes/attribute with an equals sign"},
		ignoresXattr:                      {"attributes/attribute of no namespace", "attributes/damaged access control list", "attributes/attribute with an empty value"},
		oldTimes:                          {"attributes/after 2262"},
		noSparse:                          {"sparse/hole before", "sparse/hole after", "sparse/between others", "sparse/replaced"},
		trailing:                          {"damaged/too much after the end"},
		takesAnyMark:                      {"whiteouts/bare", "whiteouts/of dot", "whiteouts/with something beneath", "whiteouts/beneath a file"},
		impliedByMark: {
			"across layers/whiteout of what is not there", "whiteouts/alone", "whiteouts/opaque in a directory without an entry", "whiteouts/opaque with content",
			"whiteouts/opaque as a directory", "whiteouts/as a link", "whiteouts/as a hard link", "damaged/whiteout's content last of all",
		},
		aufs: {"whiteouts/aufs"},
	},
	Podman: {
		cutHeader: {"damaged/cut in a PAX header", "damaged/cut after a PAX header"},
		followsLinks: {
			"across layers/through a link beneath that leads out", "across layers/through a link beneath that leads within", "across layers/whiteout through a link beneath",
			"across layers/opaque through a link beneath", "parents/through a link upwards", "parents/through a link within", "parents/through a deep link", "parents/through a link and dots",
			"whiteouts/through a link", "whiteouts/opaque through a link",
		},
		replacesNot: {"across layers/file to implied directory", "across layers/pipe to directory"},
		mendsDots: {
			"names/many slashes", "names/parent", "names/parent within", "names/parent at the end", "names/parent after dots", "names/control characters are quoted", "names/PAX path with dots",
			"whiteouts/of a path",
		},
		takesAnyOwner:  {"attributes/uid of 2^32", "attributes/uid of 2^32-1", "attributes/gid of 2^32-1", "attributes/negative uid"},
		takesAnyDevice: {"devices/whiteout as a device", "devices/whiteout by overflow", "devices/minor by overflow", "devices/device with a negative number"},
		keepsMarks:     {"attributes/overlay's marks are stripped"},
		noMount:        {"attributes/a nested overlay's marks are kept"},
		linkHeader:     {"attributes/file that nobody may read", "devices/hard link to a device", "links to lower layers/copied", "links to lower layers/two names"},
		rawXattrName:   {"attributes/attribute with an equals sign"},
		ignoresXattr:   {"attributes/attribute of no namespace", "attributes/damaged access control list", "attributes/attribute with an empty value"},
		oldTimes:       {"attributes/before 1970", "attributes/before 1970 and nanoseconds", "attributes/GNU's binary negative time", "attributes/after 2262"},
		"its record of an archive, tar-split's, has no place for a path that comes twice (image-spec, layer.md: the last one counts)": {
			"devices/device over a file", "devices/file over a device", "duplicates/file over file", "duplicates/three times", "duplicates/shorter", "duplicates/directory over directory",
			"duplicates/directory over file", "duplicates/hard link over file", "duplicates/device over directory over file", "duplicates/the root twice", "duplicates/a thousand times",
			"duplicates/one path in several spellings", "duplicates/attributes go with the file", "duplicates/replaced while it has another name", "hard links/target replaced afterwards",
			"links to lower layers/replaced", "parents/onto a link", "parents/onto a dangling link", "parents/directory onto a link", "parents/directory named and replaced, then used again",
			"parents/attributes through a link", "parents/directory's attributes through a link", "whiteouts/twice",
		},
		noSparse:     {"sparse/hole before", "sparse/hole after", "sparse/between others", "sparse/replaced"},
		trailing:     {"damaged/too much after the end"},
		ordersMarks:  {"across layers/new directory and whiteout", "whiteouts/after a file of its layer", "whiteouts/after a directory of its layer"},
		takesAnyMark: {"whiteouts/bare", "whiteouts/of dot", "whiteouts/with something beneath"},
		aufs:         {"whiteouts/aufs"},
		ownACL:       {"attributes/default access control list"},
	},
	Tar: {
		cutHeader: {"damaged/cut after a PAX header"},
		followsLinks: {
			"across layers/through a link beneath that leads out", "across layers/through a link beneath that leads within", "parents/through a link within",
			"links to lower layers/through a link beneath that leads out", "links to lower layers/through a link beneath that leads up",
		},
		replacesNot: {"across layers/file to implied directory", "across layers/pipe to directory"},
		"it replaces no directory that holds something": {
			"across layers/directory to file", "across layers/directory to link", "across layers/directory to pipe", "duplicates/file over directory", "duplicates/link over directory",
			"parents/directory named and replaced, then used again",
		},
		Sometimes + "it makes links that may lead out last of all, over what came later, but for some filesystems": {
			"parents/onto a link", "parents/onto a dangling link", "parents/directory onto a link", "parents/attributes through a link", "parents/directory's attributes through a link",
		},
		takesAnyOwner:  {"attributes/uid of 2^32-1", "attributes/gid of 2^32-1"},
		takesAnyDevice: {"devices/whiteout as a device"},
		keepsMarks:     {"attributes/overlay's marks are stripped"},
		noMount:        {"attributes/a nested overlay's marks are kept"},
		ignoresXattr: {
			"attributes/attribute of no namespace", "attributes/many bytes of attributes", "attributes/damaged access control list", "attributes/user attribute on a link",
			"attributes/attribute with an empty name", "attributes/attribute with a long name",
		},
		ownACL:                {"attributes/access control list", "attributes/default access control list"},
		"it has other limits": {"bombs/a long PAX header"},
		"it wants archives to be whole up to the blocks at the end, but goes on after a header that is cut": {"damaged/empty", "damaged/cut in a header", "damaged/cut in the padding"},
		trailing:     {"damaged/too much after the end"},
		mergesXattrs: {"duplicates/directory over directory"},
		"it takes a hard link to itself as nothing":            {"hard links/to itself"},
		"it reads names and types as older tars did":           {"names/file with a slash at its end", "names/unknown type"},
		"it takes the last piece of a sparse file for its end": {"sparse/hole after", "sparse/between others", "sparse/PAX 0.0", "sparse/PAX 0.1", "sparse/PAX 1.0", "sparse/overlapping"},
	},
}
