// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sed has the commands = a c d D g G h H i l n N p P q Q r s w x y and labels
// with b, t and T; not l's wrapping.
func sed(c *Call) int {
	opts, ok := c.parse("nEre:f:is", "quiet=n", "silent=n", "regexp-extended=E", "expression=e", "file=f", "in-place=i")
	if !ok {
		return 1
	}
	scripts := opts.values('e')
	for _, name := range opts.values('f') {
		text, err := os.ReadFile(name)
		if err != nil {
			return c.fail(name, err)
		}
		scripts = append(scripts, strings.TrimSuffix(string(text), "\n"))
	}
	if !opts.has("ef") {
		if len(c.Args) == 0 {
			return c.usage("usage: sed [-nEi] SCRIPT [FILE]...")
		}
		scripts, c.Args = c.Args[:1], c.Args[1:]
	}
	program, err := parseSed(strings.Join(scripts, "\n"), opts.has("Er"))
	if err != nil {
		return c.usage("%v", err)
	}
	s := &sedRun{call: c, program: program, quiet: opts.has("n")}
	if opts.has("i") {
		return s.inPlace(c.Args)
	}
	s.out = c.Out
	s.run(c.Args)
	return max(c.status, s.exit)
}

// inPlace edits each file on its own and renames the result over it.
func (s *sedRun) inPlace(names []string) int {
	for _, name := range names {
		if err := s.editFile(name); err != nil {
			s.call.fail(name, err)
		}
	}
	return max(s.call.status, s.exit)
}

func (s *sedRun) editFile(name string) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "sed")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	one := &sedRun{call: s.call, program: s.program, quiet: s.quiet, out: bufio.NewWriter(f)}
	one.run([]string{name})
	s.exit = one.exit
	if err := one.out.Flush(); err != nil {
		return err
	}
	copyOwner(f, st)
	if err := f.Chmod(st.Mode()); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// sedRun is one run of a program over its input.
type sedRun struct {
	call    *Call
	program []*sedCommand
	quiet   bool
	out     *bufio.Writer

	input       *sedInput
	space, hold string
	replaced    bool
	appended    []string
	done        bool
	exit        int
	active      map[*sedCommand]int // ranges begun: the line they end at, 0 by pattern
}

func (s *sedRun) run(names []string) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	s.input = &sedInput{call: s.call, names: names}
	s.active = map[*sedCommand]int{}
	for !s.done && s.next() {
		s.cycle()
	}
	s.input.close()
}

func (s *sedRun) next() bool {
	line, ok := s.input.read()
	s.space = line
	return ok
}

func (s *sedRun) cycle() {
	s.replaced = false
	for at := 0; at < len(s.program); {
		next := s.step(at)
		if next < 0 {
			s.flush(next == sedEndQuietly)
			return
		}
		at = next
	}
	s.flush(false)
}

// flush ends a cycle: the pattern space, then what a and r queued.
func (s *sedRun) flush(quietly bool) {
	if !s.quiet && !quietly {
		s.print(s.space)
	}
	for _, text := range s.appended {
		s.out.WriteString(text)
	}
	s.appended = nil
}

func (s *sedRun) print(line string) {
	s.out.WriteString(line)
	s.out.WriteByte('\n')
}

// Where a command sends the program instead of to the next one.
const (
	sedEnd        = -1
	sedEndQuietly = -2
)

func (s *sedRun) step(at int) int {
	cmd := s.program[at]
	if cmd.verb == '}' || cmd.verb == ':' {
		return at + 1
	}
	if s.selects(cmd) == cmd.not {
		if cmd.verb == '{' {
			return cmd.target
		}
		return at + 1
	}
	return s.execute(cmd, at)
}

func (s *sedRun) execute(cmd *sedCommand, at int) int {
	switch cmd.verb {
	case 'd', 'c':
		if cmd.verb == 'c' && (cmd.last == nil || s.active[cmd] < 0 || !s.inRange(cmd)) {
			s.print(cmd.text)
		}
		return sedEndQuietly
	case 'D':
		if _, rest, ok := strings.Cut(s.space, "\n"); ok {
			s.space = rest
			return 0
		}
		return sedEndQuietly
	case 'q', 'Q':
		s.done, s.exit = true, cmd.number
		if cmd.verb == 'Q' {
			return sedEndQuietly
		}
		return sedEnd
	case 'b':
		return cmd.target
	case 't', 'T':
		if s.replaced == (cmd.verb == 't') {
			s.replaced = false
			return cmd.target
		}
		s.replaced = false
	case 'n', 'N':
		return s.readMore(cmd.verb, at)
	case 's':
		s.substitute(cmd)
	default:
		s.edit(cmd)
	}
	return at + 1
}

func (s *sedRun) readMore(verb byte, at int) int {
	if verb == 'n' {
		if s.input.atEnd() {
			return sedEnd
		}
		s.flush(false)
		s.next()
		return at + 1
	}
	if s.input.atEnd() {
		return sedEnd
	}
	line, _ := s.input.read()
	s.space += "\n" + line
	return at + 1
}

func (s *sedRun) edit(cmd *sedCommand) {
	switch cmd.verb {
	case 'p':
		s.print(s.space)
	case 'P':
		first, _, _ := strings.Cut(s.space, "\n")
		s.print(first)
	case 'a':
		s.appended = append(s.appended, cmd.text+"\n")
	case 'i':
		s.print(cmd.text)
	case 'r':
		if text, err := os.ReadFile(cmd.text); err == nil {
			s.appended = append(s.appended, string(text))
		}
	case 'w':
		s.write(cmd.text)
	case 'g':
		s.space = s.hold
	case 'G':
		s.space += "\n" + s.hold
	case 'h':
		s.hold = s.space
	case 'H':
		s.hold += "\n" + s.space
	case 'x':
		s.space, s.hold = s.hold, s.space
	case 'y':
		s.space = cmd.replacer.Replace(s.space)
	case '=':
		s.print(fmt.Sprint(s.input.number))
	case 'l':
		s.print(visible(s.space) + "$")
	}
}

func (s *sedRun) write(name string) {
	if name == "/dev/stdout" {
		s.print(s.space)
		return
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		s.call.fail(name, err)
		return
	}
	defer f.Close()
	fmt.Fprintln(f, s.space)
}

func (s *sedRun) selects(cmd *sedCommand) bool {
	switch {
	case cmd.first == nil:
		return true
	case cmd.last == nil:
		return s.matches(cmd.first)
	}
	if end, begun := s.active[cmd]; begun {
		if end > 0 && s.input.number >= end || end == 0 && s.matches(cmd.last) {
			delete(s.active, cmd)
			return end == 0 || s.input.number == end
		}
		return true
	}
	if !s.matches(cmd.first) {
		return false
	}
	switch {
	case cmd.last.offset:
		s.active[cmd] = s.input.number + cmd.last.line
	case cmd.last.line > s.input.number:
		s.active[cmd] = cmd.last.line
	case cmd.last.line == 0:
		s.active[cmd] = 0
	}
	return true
}

func (s *sedRun) inRange(cmd *sedCommand) bool { _, begun := s.active[cmd]; return begun }

func (s *sedRun) matches(a *sedAddress) bool {
	switch {
	case a.end:
		return s.input.atEnd()
	case a.pattern != nil:
		return a.pattern.MatchString(s.space)
	case a.step > 0:
		return s.input.number >= a.line && (s.input.number-a.line)%a.step == 0
	}
	return s.input.number == a.line
}

func (s *sedRun) substitute(cmd *sedCommand) {
	var b strings.Builder
	at, count := 0, 0
	for _, m := range cmd.pattern.FindAllStringSubmatchIndex(s.space, -1) {
		if count++; count < max(cmd.number, 1) {
			continue
		}
		b.WriteString(s.space[at:m[0]])
		cmd.replace(&b, s.space, m)
		at = m[1]
		if !strings.Contains(cmd.flags, "g") {
			break
		}
	}
	if count < max(cmd.number, 1) {
		return
	}
	b.WriteString(s.space[at:])
	s.space, s.replaced = b.String(), true
	if strings.Contains(cmd.flags, "p") {
		s.print(s.space)
	}
	if cmd.text != "" {
		s.write(cmd.text)
	}
}

// sedInput reads the files as one, a line ahead, so that "$" is known.
type sedInput struct {
	call   *Call
	names  []string
	file   io.ReadCloser
	reader *bufio.Reader
	ahead  *string
	number int
}

func (in *sedInput) read() (string, bool) {
	if in.atEnd() {
		return "", false
	}
	line := *in.ahead
	in.ahead = nil
	in.number++
	return line, true
}

func (in *sedInput) atEnd() bool {
	for in.ahead == nil {
		if in.reader == nil && !in.open() {
			return true
		}
		line, err := in.reader.ReadString('\n')
		if line != "" {
			line = strings.TrimSuffix(line, "\n")
			in.ahead = &line
		}
		if err != nil {
			if err != io.EOF {
				in.call.fail("read error", err)
			}
			in.close()
		}
	}
	return false
}

func (in *sedInput) open() bool {
	for len(in.names) > 0 {
		name := in.names[0]
		in.names = in.names[1:]
		file, err := in.call.open(name)
		if err == nil {
			in.file, in.reader = file, bufio.NewReader(file)
			return true
		}
		in.call.fail(name, err)
	}
	return false
}

func (in *sedInput) close() {
	if in.file != nil {
		in.file.Close()
	}
	in.file, in.reader = nil, nil
}
