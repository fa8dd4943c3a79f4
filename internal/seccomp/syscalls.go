// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	_ "embed"
	"strconv"
	"strings"
)

// syscalls is one line for each name: its numbers in the order of the columns,
// "-" where there is none. It is text, and parsed only to compile, so that it
// costs nothing at the start of a program.
//
//go:embed syscalls.txt
var syscalls string

//go:generate go run ./generate tables .
//go:generate go run ./generate programs .

// column is one of the table of system calls.
type column int

const (
	columnAMD64 column = iota
	columnI386
	columnX32
	columnARM64
	columnARM
	columns
)

// table has the numbers of one system call; absent is no number.
type table map[string][columns]uint32

const absent = ^uint32(0)

func parseTable() table {
	t := make(table, 512)
	for line := range strings.Lines(syscalls) {
		fields := strings.Fields(line)
		if line[0] == '#' || len(fields) != 1+int(columns) {
			continue
		}
		var numbers [columns]uint32
		for i := range numbers {
			n, err := strconv.ParseUint(fields[1+i], 10, 32)
			if numbers[i] = uint32(n); err != nil {
				numbers[i] = absent
			}
		}
		t[fields[0]] = numbers
	}
	return t
}
