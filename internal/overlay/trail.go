// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A TracedLayer is a layer whose paths are followed through a stack.
type TracedLayer struct {
	Dir *os.File
	// Implied are directories, "." among them, that the layer only has because
	// something is beneath them: it says nothing of their attributes.
	Implied map[string]bool
	// Completes: it goes with the one before, and what both say of a path is one
	// step.
	Completes bool
}

// TrailOptions say which paths Trails lists.
type TrailOptions struct {
	Marks
	// Path is the only one that is listed, with all beneath it; "" is every path.
	// It is clean and has no slash before it. No link is followed on the way.
	Path string
	// From is the oldest layer that matters: a path of which neither it nor a newer
	// one says anything is left out.
	From int
	// Gone lists what was beneath directories that are gone too.
	Gone bool
}

// A Trail is what the layers of a stack say of one path.
type Trail struct {
	Path  string // from the root: "/etc/profile"
	Steps []Step // oldest first; at least one

	walk  *trailWalk
	level *level
	name  string // in the level's directories
}

// A Step is what one layer says of a path: that it has it, or that what older
// layers have there is gone.
type Step struct {
	Layer int   // in the stack, the oldest is 0
	Gone  bool  // by a whiteout there or above, or because something else is above
	Type  uint8 // unix.DT_REG and so on, where it is not gone
}

// Same is the Kind of a step in which a layer has what an older one has: mode,
// owner, attributes and, but for a directory, time and content are equal.
const Same byte = '='

// Shown tells whether the stack has the path in the end.
func (t *Trail) Shown() bool { return !t.Steps[len(t.Steps)-1].Gone }

// ShownAt tells whether the layers older than the given one show the path.
func (t *Trail) ShownAt(layer int) bool {
	shown := false
	for _, s := range t.Steps {
		if s.Layer >= layer {
			break
		}
		shown = !s.Gone
	}
	return shown
}

// Trails follows each path through a stack of layers, oldest first, and lists
// them in path order, a directory before what it holds. The root itself is not
// listed. A trail is good until the iteration goes on; after an error that ends.
//
// The directories are read side by side: what is kept at a time is the names of
// one directory and of those above it, whatever the size of the layers, and of
// most paths the types that their directories tell are all that is asked for.
func Trails(layers []TracedLayer, o TrailOptions) iter.Seq2[*Trail, error] {
	return func(yield func(*Trail, error) bool) {
		w := &trailWalk{layers: layers, o: o, yield: yield, compare: walk{marks: o.Marks}}
		if o.Path != "" {
			w.only = strings.Split(o.Path, "/")
		}
		err := w.root()
		if err != nil && !errors.Is(err, errStop) {
			yield(nil, err)
		}
	}
}

// trailWalk is one descent through all layers at once.
type trailWalk struct {
	layers  []TracedLayer
	o       TrailOptions
	only    []string // the components of o.Path
	yield   func(*Trail, error) bool
	compare walk
	open    int // descriptors
}

// level is one directory of a descent, in all layers that have it.
type level struct {
	path  string // "" for the root
	depth int
	at    []int // the layers that have it, oldest first
	fds   []int // of those; -1 while it is closed
	hides []int // the layers that hide all that older ones have in it, oldest first
}

func (l *level) fail(name string, err error) error {
	return fmt.Errorf("read layers at %s/%s: %w", l.path, name, err)
}

func (w *trailWalk) root() error {
	l := &level{}
	for i := range w.layers {
		l.at, l.fds = append(l.at, i), append(l.fds, -1)
	}
	defer w.close(l)
	if err := w.findOpaque(l); err != nil {
		return err
	}
	return w.list(l)
}

// list lists what a directory holds.
func (w *trailWalk) list(l *level) error {
	m, err := w.read(l)
	if err != nil {
		return err
	}
	for {
		name, found := m.next()
		if found == nil {
			return nil
		}
		t, below, err := w.trail(l, name, found)
		if err != nil {
			return l.fail(name, err)
		}
		if err := w.visit(t, below); err != nil {
			return err
		}
	}
}

// visit lists one path and what is beneath it.
func (w *trailWalk) visit(t *Trail, below *level) error {
	if len(t.Steps) == 0 { // whiteouts of nothing
		return nil
	}
	last := t.Steps[len(t.Steps)-1]
	if t.level.depth >= len(w.only)-1 && last.Layer >= w.o.From && !w.yield(t, nil) {
		return errStop
	}
	if len(below.at) == 0 || !w.o.Gone && (last.Gone || last.Type != unix.DT_DIR) {
		return nil
	}
	defer w.close(below)
	if err := w.findOpaque(below); err != nil {
		return err
	}
	if newest(below.at) < w.o.From && newest(below.hides) < w.o.From {
		return nil
	}
	w.spare(t.level)
	return w.list(below)
}

func newest(layers []int) int {
	if len(layers) == 0 {
		return -1
	}
	return layers[len(layers)-1]
}

// trail puts together what the layers have under name, and the directory that
// some of them have there.
func (w *trailWalk) trail(l *level, name string, found []occurrence) (*Trail, *level, error) {
	t := &Trail{Path: l.path + "/" + name, Steps: make([]Step, 0, len(found)), walk: w, level: l, name: name}
	below := &level{path: t.Path, depth: l.depth + 1}
	hides, shown := l.hides, false
	for len(found) > 0 || len(hides) > 0 {
		var here *occurrence
		layer, hidden := 0, false
		if len(found) > 0 && (len(hides) == 0 || l.at[found[0].index] <= hides[0]) {
			here, layer = &found[0], l.at[found[0].index]
			found = found[1:]
		} else {
			layer = hides[0]
		}
		if len(hides) > 0 && hides[0] == layer {
			hidden, hides = true, hides[1:]
		}
		kind, err := w.kindOf(l, here, name)
		if err != nil {
			return nil, nil, err
		}
		if hidden || kind != unix.DT_DIR {
			below.hides = append(below.hides, layer)
		}
		if kind == unix.DT_DIR {
			below.at, below.fds = append(below.at, layer), append(below.fds, -1)
		}
		if kind != nothing || shown {
			t.add(Step{Layer: layer, Gone: kind == nothing, Type: kind})
		}
		shown = kind != nothing
	}
	return t, below, nil
}

func (t *Trail) add(s Step) {
	if n := len(t.Steps); n > 0 && t.walk.layers[s.Layer].Completes && t.Steps[n-1].Layer == s.Layer-1 {
		t.Steps = t.Steps[:n-1]
	}
	t.Steps = append(t.Steps, s)
}

// nothing is the type of a whiteout, and of what a layer does not have.
const nothing = typeGone

// kindOf is the type of what a layer has; a directory's word is believed where
// it leaves no doubt.
func (w *trailWalk) kindOf(l *level, o *occurrence, name string) (uint8, error) {
	if o == nil {
		return nothing, nil
	}
	if o.kind != unix.DT_CHR && o.kind != unix.DT_UNKNOWN {
		return o.kind, nil
	}
	st, err := w.lstat(l, o.index, name)
	if err != nil || IsWhiteout(&st) {
		return nothing, err
	}
	return uint8(st.Mode & unix.S_IFMT >> 12), nil // IFTODT of dirent.h
}

// Stat describes the path as a step's layer has it, as lstat(2) would. The step
// is one that has it.
func (t *Trail) Stat(step int) (unix.Stat_t, error) {
	st, err := t.walk.lstat(t.level, t.index(step), t.name)
	if err != nil {
		return st, t.level.fail(t.name, err)
	}
	return st, nil
}

// In returns the open directory of a step's layer that has the path, and its
// name there. The descriptor stays the walk's.
func (t *Trail) In(step int) (dir int, name string, err error) {
	dir, err = t.walk.fd(t.level, t.index(step))
	if err != nil {
		return -1, "", t.level.fail(t.name, err)
	}
	return dir, t.name, nil
}

// index is the place of a step's layer among those that have the directory.
func (t *Trail) index(step int) int {
	i, _ := slices.BinarySearch(t.level.at, t.Steps[step].Layer)
	return i
}

// Implied tells whether a step's layer has the path only because something is
// beneath it.
func (t *Trail) Implied(step int) bool {
	return t.walk.layers[t.Steps[step].Layer].Implied[t.Path[1:]]
}

// Kind says what a step did: Added, Modified, Deleted, or Same. Files that seem
// equal are read.
func (t *Trail) Kind(step int) (byte, error) {
	switch {
	case t.Steps[step].Gone:
		return Deleted, nil
	case step == 0 || t.Steps[step-1].Gone:
		return Added, nil
	case t.Steps[step].Type != t.Steps[step-1].Type:
		return Modified, nil
	case t.Implied(step):
		return Same, nil
	}
	differs, err := t.differs(step, t.before(step))
	if err != nil {
		return 0, t.level.fail(t.name, err)
	}
	if differs {
		return Modified, nil
	}
	return Same, nil
}

// before is the step that a step is to be compared with: the newest that says
// something.
func (t *Trail) before(step int) int {
	for i := step - 1; i >= 0 && t.Steps[i].Type == t.Steps[step].Type && !t.Steps[i].Gone; i-- {
		if !t.Implied(i) {
			return i
		}
	}
	return step - 1
}

// differs compares two steps of one type. The time of a directory follows from
// what others do in it.
func (t *Trail) differs(step, before int) (bool, error) {
	a, err := t.entry(step)
	if err != nil {
		return false, err
	}
	b, err := t.entry(before)
	if err != nil {
		return false, err
	}
	if t.Steps[step].Type == unix.DT_DIR {
		a.st.Mtim = b.st.Mtim
	}
	return t.walk.compare.differ(a, b)
}

func (t *Trail) entry(step int) (entry, error) {
	dir, name, err := t.In(step)
	if err != nil {
		return entry{}, err
	}
	st, err := t.Stat(step)
	return entry{dir, name, st}, err
}
