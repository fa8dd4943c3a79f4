// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"strata/internal/engine"
	"strata/internal/image"
	"strata/internal/oci"
)

// printImageTree lists images beneath those whose layers they go on from.
func printImageTree(e *engine.Engine, images []image.Image, match func(oci.Reference) bool, l *listing) error {
	nodes, err := e.ImageTree(images, func(img image.Image) bool { return slices.ContainsFunc(namesOf(img), match) })
	if err != nil {
		return err
	}
	t := treeRows{whole: l.noTrunc}
	for _, n := range nodes {
		t.node(n, "", "", "")
	}
	return l.print([]column{
		{"IMAGE", ""}, {"", "Names"}, {"IMAGE ID", "ID"}, {"", "Parent"}, {"LAYERS", "Layers"},
		{"SIZE", "Size"}, {"SHARED", "Shared"}, {"UNIQUE", "Unique"},
		{"", "SizeBytes"}, {"", "SharedBytes"}, {"", "UniqueBytes"},
	}, t.rows)
}

// treeRows is rows of a table that show a tree.
type treeRows struct {
	whole bool
	rows  [][]any
}

// add adds nodes, each with what is beneath it. Parent is the ID of the nearest
// image above them.
func (t *treeRows) add(nodes []*engine.ImageNode, indent, parent string) {
	for i, n := range nodes {
		branch, below := "├─ ", "│  "
		if i == len(nodes)-1 {
			branch, below = "└─ ", "   "
		}
		t.node(n, indent+branch, indent+below, parent)
	}
}

// node adds one node, whose name stands after the text before.
func (t *treeRows) node(n *engine.ImageNode, before, below, parent string) {
	names, id := []string{}, ""
	label := "(shared layers)"
	if n.Image != nil {
		for _, name := range n.Image.Names {
			names = append(names, name.Familiar())
		}
		id, label = n.Image.ID.Short(), strings.Join(names, ", ")
		if t.whole {
			id = n.Image.ID.String()
		}
		if label == "" {
			label = "<none>"
		}
	}
	t.rows = append(t.rows, []any{
		before + label, names, id, parent, n.Layers, size(n.Size), size(n.Shared), size(n.Unique()), n.Size, n.Shared, n.Unique(),
	})
	if id != "" {
		parent = id
	}
	t.add(n.Children, below, parent)
}
