// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// runInput runs commands from standard input as they come.
func (s *Shell) runInput(interactive bool) {
	if !interactive {
		s.runLines(&lineReader{shell: s})
		return
	}
	s.interactive = true
	// The terminal sends these to all of the foreground: a program started from
	// here gets them at their default, the shell stays.
	signal.Reset(unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	signal.Ignore(unix.SIGTSTP)
	var in io.Reader = &lineReader{shell: s, prompts: true}
	if term.IsTerminal(0) {
		in = newEditor(s)
	}
	for s.jump != exits {
		err := s.runLines(in)
		if errors.Is(err, errInterrupted) {
			continue
		}
		if err == nil {
			return
		}
	}
}

var errInterrupted = errors.New("interrupted")

// runLines runs each line once it is complete; it returns nil at the end of
// the input and an error where an interactive shell is to begin anew.
func (s *Shell) runLines(in io.Reader) error {
	p := parser()
	if r, ok := in.(promptReader); ok {
		r.incomplete(func() bool { return p.Incomplete() })
	}
	for stmts, err := range p.InteractiveSeq(in) {
		if errors.Is(err, errInterrupted) {
			return err
		}
		if err != nil {
			s.syntaxError(err)
			return err
		}
		if p.Incomplete() {
			continue
		}
		s.list(stmts, false)
		if s.jump != goesOn && !s.interactive || s.jump == exits {
			return nil
		}
		s.jump = goesOn
	}
	return nil
}

// promptReader is a reader that prompts, and asks with what.
type promptReader interface{ incomplete(func() bool) }

// lineReader reads standard input up to the end of a line and never further:
// the rest is for the commands.
type lineReader struct {
	shell   *Shell
	prompts bool
	within  func() bool
}

func (r *lineReader) incomplete(f func() bool) { r.within = f }

// Read gives one line, or as much of it as fits.
func (r *lineReader) Read(p []byte) (int, error) {
	if r.prompts {
		fmt.Fprint(r.shell.errOut(), r.shell.prompt(r.within()))
	}
	for n := range p {
		m, err := descriptor(r.shell.files[0]).Read(p[n : n+1])
		if m == 0 || err != nil {
			return n, err
		}
		if p[n] == '\n' {
			return n + 1, nil
		}
	}
	return len(p), nil
}

// prompt is PS1, or PS2 within a command.
func (s *Shell) prompt(within bool) string {
	if within {
		return s.vars["PS2"].Str
	}
	ps1, ok := s.vars["PS1"]
	if !ok {
		ps1.Str = `\w \$ `
	}
	text, err := expandPrompt(s, s.promptEscapes(ps1.Str))
	if err != nil {
		return "$ "
	}
	return text
}

func (s *Shell) promptEscapes(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	dir, home := s.vars["PWD"].Str, s.vars["HOME"].Str
	if home != "" && home != "/" && (dir == home || strings.HasPrefix(dir, home+"/")) {
		dir = "~" + strings.TrimPrefix(dir, home)
	}
	host, _ := os.Hostname()
	user, mark := s.vars["USER"].Str, "$"
	if os.Geteuid() == 0 {
		mark = "#"
		if user == "" {
			user = "root"
		}
	}
	short, _, _ := strings.Cut(host, ".")
	base := dir[strings.LastIndexByte(dir, '/')+1:]
	return strings.NewReplacer(`\w`, dir, `\W`, base, `\h`, short, `\H`, host, `\u`, user, `\$`, mark,
		`\n`, "\n", `\e`, "\x1b", `\[`, "", `\]`, "").Replace(text)
}

// editor is a line editor with history; the terminal is raw only while a line
// is typed.
type editor struct {
	shell       *Shell
	terminal    *term.Terminal
	within      func() bool
	rest        string
	interrupted bool
}

func newEditor(s *Shell) *editor {
	e := &editor{shell: s}
	e.terminal = term.NewTerminal(e.screen(), "")
	return e
}

type screen struct {
	io.Reader
	io.Writer
}

func (e *editor) screen() screen { return screen{keyboard{e}, descriptor(2)} }

func (e *editor) incomplete(f func() bool) { e.within = f }

// keyboard turns Ctrl-C into an empty line, marked as interrupted.
type keyboard struct{ editor *editor }

func (k keyboard) Read(p []byte) (int, error) {
	n, err := descriptor(0).Read(p[:min(len(p), 1)])
	if n == 1 && p[0] == 3 {
		k.editor.interrupted = true
		const endOfLine, killLine, enter = 5, 21, 13
		if len(p) >= 3 {
			p[0], p[1], p[2] = endOfLine, killLine, enter
			return 3, nil
		}
		p[0] = enter
	}
	return n, err
}

// Read gives a line, once it is typed.
func (e *editor) Read(p []byte) (int, error) {
	if e.rest == "" {
		line, err := e.readLine()
		if err != nil {
			return 0, err
		}
		e.rest = line + "\n"
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *editor) readLine() (string, error) {
	before, err := term.MakeRaw(0)
	if err != nil {
		return "", err
	}
	defer term.Restore(0, before)
	if width, height, err := term.GetSize(0); err == nil && width > 0 {
		e.terminal.SetSize(width, height)
	}
	e.interrupted = false
	e.terminal.SetPrompt(e.shell.prompt(e.within()))
	line, err := e.terminal.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	if e.interrupted {
		e.shell.status = statusSignal + int(unix.SIGINT)
		return "", errInterrupted
	}
	return line, err
}
