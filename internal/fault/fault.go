// SPDX-License-Identifier: Apache-2.0

// Package fault is what a check of the store has to say: one thing that is wrong,
// and what can be done about it.
package fault

// A Fault is one thing that is wrong.
type Fault struct {
	Object string // what it is wrong with: "layer sha256:…", "container web", "store"
	What   string // is wrong, with the name of the file
	// Leftover is what was interrupted: nothing needs it, and nothing is damaged.
	Leftover bool
	// Detail is a part of what the next fault is about, which also says what can be
	// done.
	Detail bool
	Todo   string // what a person can do, where nothing mends it

	// Mend does away with it, nil for never. It looks again first, with the locks
	// that it needs, and does nothing to what is not wrong any more; it may be
	// interrupted at any point and be called again.
	Mend func() error
	Cure Cure
}

// A Cure says what Mend does.
type Cure struct{ Will, Did string }

// The cures that many have.
var (
	Remove = Cure{"removes it", "removed"}
	Remake = Cure{"makes it anew", "made anew"}
	Trash  = Cure{"moves it to the trash", "moved to the trash"}
)

// Report takes faults as they are found.
type Report func(Fault)

// Repaired is the line for a fault of which Mend has returned err.
func (f Fault) Repaired(err error) string {
	if err != nil {
		return f.text() + ": not repaired: " + err.Error()
	}
	return f.text() + ": " + f.Cure.Did
}

// String is the line for a fault that is left as it is.
func (f Fault) String() string {
	switch {
	case f.Mend != nil:
		return f.text() + "; --repair " + f.Cure.Will
	case f.Todo != "":
		return f.text() + "; " + f.Todo
	}
	return f.text()
}

func (f Fault) text() string { return f.Object + ": " + f.What }
