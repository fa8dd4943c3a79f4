// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"io"
	"strings"
)

// Explain writes the plan as a shell script with a comment on each line. The
// script does the same where the image has umount, setpriv and env: after
// pivot_root there are only the image's own programs.
func (p *Plan) Explain(w io.Writer) error {
	for _, s := range p.steps {
		if s.lines == nil {
			continue
		}
		for _, l := range s.lines() {
			if err := l.write(w); err != nil {
				return err
			}
		}
	}
	if _, err := io.WriteString(w, "SANDBOX\n"); err != nil {
		return err
	}
	_, _, remove := shellCgroup(p.spec)
	for _, l := range remove {
		if err := l.write(w); err != nil {
			return err
		}
	}
	return nil
}

func (l Line) write(w io.Writer) error {
	if strings.Contains(l.Command, "<<") || len(l.Command) > 68 {
		_, err := fmt.Fprintf(w, "# %s:\n%s\n", l.Why, l.Command)
		return err
	}
	_, err := fmt.Fprintf(w, "%-68s # %s\n", l.Command, l.Why)
	return err
}

// Quote makes s one word of the shell, for lines of Explain.
func Quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
