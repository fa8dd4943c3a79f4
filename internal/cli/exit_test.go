// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	plain := errors.New("read x: no such file")
	cases := []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{plain, 1, "prog: read x: no such file\n"},
		{errors.Join(plain, errors.New("close y: bad")), 1, "prog: read x: no such file; close y: bad\n"},
		{Usagef("flag %s", "x"), 125, "prog: flag x\n"},
		{&ExitError{Code: 7}, 7, ""},
		{&ExitError{Code: 127, Err: plain}, 127, "prog: read x: no such file\n"},
		{fmt.Errorf("import: %w", context.Canceled), 130, "prog: interrupted; what was begun is taken back\n"},
	}
	for _, c := range cases {
		var out strings.Builder
		if code := (&Program{Name: "prog"}).Report(&out, c.err); code != c.code || out.String() != c.text {
			t.Errorf("%v: got %d, %q; want %d, %q", c.err, code, out.String(), c.code, c.text)
		}
	}
}
