// SPDX-License-Identifier: Apache-2.0

// Package overlay is what the kernel's overlay filesystem stores and how it is
// mounted: a stack of layers becomes a detached mount, and an upperdir becomes
// the list of changes against the layers beneath it.
//
// The rules of the kernel that it relies on are in docs/overlayfs.md, each with
// its source.
package overlay
