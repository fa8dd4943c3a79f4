// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"io"
	"strconv"

	"strata/internal/oci"
)

const tarBlock = 512

// readHead reads as much of a member as its kind is told by.
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, tarBlock)
	n, err := io.ReadFull(r, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil // shorter than a block
	}
	return head[:n], err
}

// layerType tells from its first bytes whether a member can be a layer, and of
// which media type.
func layerType(head []byte) (mediaType string, isLayer bool) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return oci.MediaTypeLayerGzip, true
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return oci.MediaTypeLayerZstd, true
	case len(head) == tarBlock && isTarHeader(head):
		return oci.MediaTypeLayer, true
	}
	return "", false
}

// isTarHeader tells a header by its checksum (tar(5)), as the oldest form has no
// other mark, and the end of an archive of no entries by its zeros.
func isTarHeader(block []byte) bool {
	const from, to = 148, 156
	var sum int64
	for i, b := range block {
		if i >= from && i < to {
			b = ' '
		}
		sum += int64(b)
	}
	if sum == (to-from)*' ' {
		return block[from] == 0
	}
	field := bytes.Trim(block[from:to], " \x00")
	want, err := strconv.ParseInt(string(field), 8, 64)
	return err == nil && want == sum
}
