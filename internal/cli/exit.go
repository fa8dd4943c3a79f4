// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes: Docker's for a command line that cannot be read, the shells' 128
// and the number of SIGINT for a command that was interrupted.
const (
	exitFailure     = 1
	exitUsage       = 125
	exitInterrupted = 130
)

// An ExitError carries an exit code of its own. Without Err it is silent.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Report writes err as one line, after the program's name, and returns the exit
// code: this is the one place where an error becomes either.
func (p *Program) Report(w io.Writer, err error) int {
	var exit *ExitError
	var usage *UsageError
	code := exitFailure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Err == nil:
		return exit.Code
	case exit != nil:
		code = exit.Code
	case errors.As(err, &usage):
		code = exitUsage
	case errors.Is(err, context.Canceled):
		code, err = exitInterrupted, errors.New("interrupted; what was begun is taken back")
	}
	fmt.Fprintln(w, p.Name+": "+OneLine(err))
	return code
}

// OneLine is an error's text with the lines of joined errors on one.
func OneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}
