// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"fmt"
	"regexp"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// stmt runs one statement. With tail set nothing is to be done after it, so a
// program may take the shell's place.
func (s *Shell) stmt(st *syntax.Stmt, tail bool) {
	s.runTraps()
	if s.jump != goesOn || s.opts.noexec {
		return
	}
	if st.Background {
		s.startJob(st)
		return
	}
	if st.Negated {
		s.tested++
	}
	s.withRedirects(st.Redirs, func() { s.command(st.Cmd, tail && !st.Negated) })
	if st.Negated {
		s.tested--
		if s.jump == goesOn {
			s.status = boolStatus(s.status != 0)
		}
		return
	}
	if s.status != 0 && s.opts.errexit && s.tested == 0 && s.jump == goesOn && !isAndOr(st.Cmd) {
		s.jump = exits
	}
}

func boolStatus(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

// isAndOr tells the lists in which only the last command's failure counts for
// errexit; that command has been looked at by itself.
func isAndOr(cmd syntax.Command) bool {
	b, ok := cmd.(*syntax.BinaryCmd)
	return ok && b.Op != syntax.Pipe
}

func (s *Shell) command(cmd syntax.Command, tail bool) {
	switch cmd := cmd.(type) {
	case nil: // redirections alone
		s.status = 0
	case *syntax.CallExpr:
		s.simple(cmd, tail)
	case *syntax.Block:
		s.list(cmd.Stmts, tail)
	case *syntax.Subshell:
		s.status = s.wait(s.subshell(cmd.Stmts, s.files))
	case *syntax.BinaryCmd:
		s.binary(cmd, tail)
	case *syntax.IfClause:
		s.ifClause(cmd)
	case *syntax.WhileClause:
		s.loop(func() { s.while(cmd) })
	case *syntax.ForClause:
		s.loop(func() { s.forClause(cmd) })
	case *syntax.CaseClause:
		s.caseClause(cmd)
	case *syntax.FuncDecl:
		s.funcs[cmd.Name.Value] = cmd
		s.status = 0
	default:
		s.errorf("%T is not supported", cmd)
		s.status = statusUsage
	}
}

func (s *Shell) binary(cmd *syntax.BinaryCmd, tail bool) {
	if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
		s.pipeline(cmd)
		return
	}
	s.tested++
	s.stmt(cmd.X, false)
	s.tested--
	if s.jump == goesOn && (s.status == 0) == (cmd.Op == syntax.AndStmt) {
		s.stmt(cmd.Y, tail)
	}
}

func (s *Shell) condition(stmts []*syntax.Stmt) bool {
	s.tested++
	s.list(stmts, false)
	s.tested--
	return s.status == 0
}

func (s *Shell) ifClause(cmd *syntax.IfClause) {
	for ; cmd != nil; cmd = cmd.Else {
		if len(cmd.Cond) == 0 || s.condition(cmd.Cond) || s.jump != goesOn {
			if s.jump == goesOn {
				s.list(cmd.Then, false)
			}
			return
		}
	}
	s.status = 0
}

func (s *Shell) loop(body func()) {
	s.loops++
	body()
	s.loops--
}

// leaves tells whether the loop ends here, and takes back the break or
// continue that was for this loop.
func (s *Shell) leaves() bool {
	switch s.jump {
	case goesOn:
		return false
	case breaks, continues:
		if s.levels--; s.levels > 0 && s.loops > 1 {
			return true
		}
		left := s.jump == breaks
		s.jump = goesOn
		return left
	}
	return true
}

func (s *Shell) while(cmd *syntax.WhileClause) {
	status := 0
	for {
		holds := s.condition(cmd.Cond)
		if s.jump == goesOn {
			if holds == cmd.Until {
				break
			}
			s.list(cmd.Do, false)
			status = s.status
		}
		if s.leaves() {
			status = s.status
			break
		}
	}
	s.status = status
}

func (s *Shell) forClause(cmd *syntax.ForClause) {
	words, ok := cmd.Loop.(*syntax.WordIter)
	if !ok {
		s.errorf("for ((…)) is not supported")
		s.status = statusUsage
		return
	}
	items := s.params
	if words.InPos.IsValid() {
		fields, err := expand.Fields(s.config(), words.Items...)
		if err != nil {
			s.expansionError(err)
			return
		}
		items = fields
	}
	s.status = 0
	for _, item := range items {
		if err := s.set(words.Name.Value, item); err != nil {
			s.expansionError(err)
			return
		}
		s.list(cmd.Do, false)
		if s.leaves() {
			return
		}
	}
}

func (s *Shell) caseClause(cmd *syntax.CaseClause) {
	value, err := expand.Literal(s.config(), cmd.Word)
	if err != nil {
		s.expansionError(err)
		return
	}
	s.status = 0
	falls := false
	for _, item := range cmd.Items {
		if !falls && !s.matchesAny(item.Patterns, value) {
			continue
		}
		s.list(item.Stmts, false)
		if falls = item.Op == syntax.Fallthrough; !falls || s.jump != goesOn {
			return
		}
	}
}

func (s *Shell) matchesAny(words []*syntax.Word, value string) bool {
	for _, word := range words {
		text, err := expand.Pattern(s.config(), word)
		if err != nil {
			s.expansionError(err)
			return false
		}
		if matches(text, value) {
			return true
		}
	}
	return false
}

func matches(text, value string) bool {
	if !pattern.HasMeta(text, 0) {
		return unescaped(text) == value
	}
	source, err := pattern.Regexp(text, pattern.EntireString)
	if err != nil {
		return text == value
	}
	re, err := regexp.Compile(source)
	return err == nil && re.MatchString(value)
}

func unescaped(text string) string {
	var b []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b = append(b, text[i])
	}
	return string(b)
}

// expansionError ends a shell that is not interactive (POSIX, 2.8.1).
func (s *Shell) expansionError(err error) {
	s.errorf("%v", err)
	s.status = 1
	if _, ok := errors.AsType[expand.UnsetParameterError](err); ok || errors.Is(err, errReadOnly) {
		s.status = statusUsage
	}
	if !s.interactive {
		s.jump = exits
	}
}

// call runs a function.
func (s *Shell) callFunction(decl *syntax.FuncDecl, args []string) {
	if len(s.locals) > 1000 {
		s.errorf("%s: functions nested too deeply", decl.Name.Value)
		s.status, s.jump = statusUsage, exits
		return
	}
	params, loops := s.params, s.loops
	s.params, s.loops = args, 0
	s.locals = append(s.locals, map[string]expand.Variable{})
	s.returning++
	s.stmt(decl.Body, false)
	s.returning--
	s.restore(s.locals[len(s.locals)-1])
	s.locals = s.locals[:len(s.locals)-1]
	s.params, s.loops = params, loops
	if s.jump == returns {
		s.jump = goesOn
	}
}

func expandPrompt(s *Shell, text string) (string, error) {
	word, err := parser().Document(newReader(text))
	if err != nil {
		return "", fmt.Errorf("prompt: %w", err)
	}
	return expand.Document(s.config(), word)
}
