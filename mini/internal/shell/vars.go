// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// environ is the shell's variables as the expansions see them. With overlay
// set, assignments in expansions go there and are forgotten: those of a
// command that is a process of its own.
type environ struct {
	shell   *Shell
	overlay map[string]expand.Variable
}

func text(value string) expand.Variable {
	return expand.Variable{Set: true, Kind: expand.String, Str: value}
}

// Get knows the special parameters too.
func (e environ) Get(name string) expand.Variable {
	s := e.shell
	switch name {
	case "#":
		return text(strconv.Itoa(len(s.params)))
	case "@", "*":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, s.params...)}
	case "?":
		return text(strconv.Itoa(s.status))
	case "$":
		return text(strconv.Itoa(s.pid))
	case "!":
		if s.background == 0 {
			return expand.Variable{}
		}
		return text(strconv.Itoa(s.background))
	case "-":
		return text(s.letters())
	case "0":
		return text(s.name)
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n > len(s.params) {
			return expand.Variable{}
		}
		return text(s.params[n-1])
	}
	if v, ok := e.overlay[name]; ok {
		return v
	}
	return s.vars[name]
}

// Set is for ${name:=word} and assignments in arithmetic.
func (e environ) Set(name string, v expand.Variable) error {
	if e.overlay != nil {
		e.overlay[name] = v
		return nil
	}
	return e.shell.set(name, v.Str)
}

// Each calls f with the variables in no order.
func (e environ) Each(f func(string, expand.Variable) bool) {
	for name, v := range e.shell.vars {
		if !f(name, v) {
			return
		}
	}
}

// config is made for each expansion: one that runs commands may expand again
// before it is done.
func (s *Shell) config() *expand.Config {
	cfg := &expand.Config{Env: environ{shell: s}, CmdSubst: s.substitute, NoUnset: s.opts.nounset}
	if !s.opts.noglob {
		cfg.ReadDir2 = readDir
	}
	return cfg
}

func readDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

var errReadOnly = errors.New("is read only")

func (s *Shell) set(name, value string) error {
	v := s.vars[name]
	if v.ReadOnly {
		return fmt.Errorf("%s: %w", name, errReadOnly)
	}
	v.Set, v.Kind, v.Str = true, expand.String, value
	v.Exported = v.Exported || s.opts.allexport
	s.vars[name] = v
	if name == "OPTIND" {
		s.optionChar = 1
	}
	return nil
}

// setString is set for variables of the shell's own; a read-only one stays.
func (s *Shell) setString(name, value string) { _ = s.set(name, value) }

// assign carries out name=value words.
func (s *Shell) assign(assigns []*syntax.Assign) error {
	for _, as := range assigns {
		value, err := s.assigned(s.config(), as)
		if err == nil {
			err = s.set(as.Name.Value, value)
		}
		if err != nil {
			return err
		}
		if s.opts.xtrace {
			s.trace([]string{as.Name.Value + "=" + value})
		}
	}
	return nil
}

func (s *Shell) assigned(cfg *expand.Config, as *syntax.Assign) (string, error) {
	if as.Value == nil {
		return "", nil
	}
	return expand.Literal(cfg, as.Value)
}

// exported is the environment of a command: the exported variables, and pairs
// on top.
func (s *Shell) exported(pairs []string) []string {
	list := append([]string{}, s.alien...)
	taken := map[string]bool{}
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		taken[name] = true
	}
	for name, v := range s.vars {
		if v.Exported && v.Set && !taken[name] {
			list = append(list, name+"="+v.Str)
		}
	}
	return append(list, pairs...)
}

// scoped runs f with the assignments in force and puts back what they
// replaced; as the variables of a command that is no process they are
// exported meanwhile.
func (s *Shell) scoped(assigns []*syntax.Assign, f func()) error {
	before := map[string]expand.Variable{}
	for _, as := range assigns {
		name := as.Name.Value
		if _, ok := before[name]; !ok {
			before[name] = s.vars[name]
		}
	}
	err := s.assign(assigns)
	for name := range before {
		v := s.vars[name]
		v.Exported = true
		s.vars[name] = v
	}
	if err == nil {
		f()
	}
	s.restore(before)
	return err
}

func (s *Shell) restore(before map[string]expand.Variable) {
	for name, v := range before {
		if v.Declared() {
			s.vars[name] = v
		} else {
			delete(s.vars, name)
		}
	}
}

// letters is $-.
func (s *Shell) letters() (set string) {
	for _, o := range optionTable {
		if o.letter != 0 && *o.of(&s.opts) {
			set += string(o.letter)
		}
	}
	if s.interactive {
		set += "i"
	}
	return set
}

// optionTable has the options of set; the letter may be missing.
var optionTable = [...]struct {
	letter byte
	name   string
	of     func(*options) *bool
}{
	{'a', "allexport", func(o *options) *bool { return &o.allexport }},
	{'C', "noclobber", func(o *options) *bool { return &o.noclobber }},
	{'e', "errexit", func(o *options) *bool { return &o.errexit }},
	{'f', "noglob", func(o *options) *bool { return &o.noglob }},
	{'n', "noexec", func(o *options) *bool { return &o.noexec }},
	{0, "pipefail", func(o *options) *bool { return &o.pipefail }},
	{'u', "nounset", func(o *options) *bool { return &o.nounset }},
	{'v', "verbose", func(o *options) *bool { return &o.verbose }},
	{'x', "xtrace", func(o *options) *bool { return &o.xtrace }},
}

func (s *Shell) setLetter(letter byte, on bool) error {
	for _, o := range optionTable {
		if o.letter == letter {
			*o.of(&s.opts) = on
			return nil
		}
	}
	if strings.IndexByte("bhm", letter) >= 0 { // job control: there is none
		return nil
	}
	return fmt.Errorf("illegal option -%c", letter)
}

func (s *Shell) setOption(name string, on bool) error {
	for _, o := range optionTable {
		if o.name == name {
			*o.of(&s.opts) = on
			return nil
		}
	}
	if name == "monitor" || name == "posix" || name == "vi" || name == "emacs" || name == "notify" || name == "ignoreeof" {
		return nil
	}
	return fmt.Errorf("illegal option -o %s", name)
}

func (s *Shell) trace(words []string) {
	prefix, err := expandPrompt(s, s.vars["PS4"].Str)
	if err != nil {
		prefix = "+ "
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	fmt.Fprintf(s.errOut(), "%s%s\n", prefix, strings.Join(quoted, " "))
}

// quote is word as the shell would read it back.
func quote(word string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%^", r)
	}
	if word != "" && strings.IndexFunc(word, plain) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
