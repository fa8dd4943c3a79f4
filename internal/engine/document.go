// SPDX-License-Identifier: Apache-2.0

package engine

// Document is the manifest of the image called name, or its config, as the bytes
// that the digest is of.
func (e *Engine) Document(name string, config bool) (document []byte, err error) {
	err = e.shared(func() error {
		img, err := e.resolve(name)
		if err != nil {
			return err
		}
		digest := img.Manifest
		if config {
			digest = img.ID
		}
		document, err = e.images.Blob(digest)
		return err
	})
	return document, err
}
