// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	maxErrorBody = 64 << 10 // bytes read of an answer that is no success
	maxShown     = 200      // characters of a server's text that are shown
)

// An Error is a registry's refusal.
type Error struct {
	Host    string
	Status  int
	Code    string // of the distribution specification, "MANIFEST_UNKNOWN"; printable
	Message string // printable and short

	passing bool          // it may be over soon
	pause   time.Duration // that the registry asks for
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.Host, e.Status, http.StatusText(e.Status))
	switch {
	case e.Message != "":
		text += ": " + e.Message
	case e.Code != "":
		text += ": " + strings.ToLower(strings.ReplaceAll(e.Code, "_", " "))
	}
	if e.pause > maxWait {
		text += fmt.Sprintf("; it asks to come back in %s", e.pause.Round(time.Second))
	}
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		text += "; is the name right, and are you logged in (strata login " + e.Host + ")?"
	}
	return text
}

// IsNotFound reports whether a registry has said that something is not there.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsDenied reports whether a registry does not let us.
func IsDenied(err error) bool {
	return hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden)
}

func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// refusal makes an Error of an answer, of which it reads and closes the body.
func refusal(host string, resp *http.Response) *Error {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what has come of it is what there is to show
	e := &Error{Host: host, Status: resp.StatusCode}
	e.Code, e.Message = explanation(body)
	e.pause, e.passing = retryAfter(resp)
	return e
}

// explanation finds what a server says in the body of an error: a list as the
// distribution specification has it, or what token servers answer.
func explanation(body []byte) (code, message string) {
	var document struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Details     string `json:"details"`
		Message     string `json:"message"`
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&document) != nil { // what stands behind it does not matter
		return "", ""
	}
	if len(document.Errors) > 0 {
		first := document.Errors[0]
		return printable(first.Code), printable(first.Message)
	}
	for _, text := range []string{document.Description, document.Details, document.Message, document.Error} {
		if text != "" {
			return printable(document.Error), printable(text)
		}
	}
	return "", ""
}

// printable makes foreign text fit for a terminal and a line.
func printable(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range strings.TrimSpace(s) {
		if n++; n > maxShown {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(c) {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// joined is one error, or all of them.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// bare takes from an error of net/http the address, which may hold a token of
// ours and text of a server's.
func bare(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return &shownError{err}
}

// A shownError is an error whose text may hold a server's.
type shownError struct{ err error }

func (e *shownError) Error() string { return printable(e.err.Error()) }
func (e *shownError) Unwrap() error { return e.err }
