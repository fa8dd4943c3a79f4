// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// findParser reads an expression: or, and (also by mere sequence), not.
type findParser struct {
	finder *finder
	args   []string
}

func (p *findParser) parse() (predicate, error) {
	if len(p.args) == 0 {
		return func(*visit) bool { return true }, nil
	}
	e, err := p.or()
	if err == nil && len(p.args) > 0 {
		err = fmt.Errorf("unexpected '%s'", p.args[0])
	}
	return e, err
}

func (p *findParser) accept(words ...string) bool {
	for _, word := range words {
		if len(p.args) > 0 && p.args[0] == word {
			p.args = p.args[1:]
			return true
		}
	}
	return false
}

func (p *findParser) or() (predicate, error) {
	left, err := p.and()
	for err == nil && p.accept("-o", "-or") {
		var right predicate
		before := left
		right, err = p.and()
		left = func(v *visit) bool { return before(v) || right(v) }
	}
	return left, err
}

func (p *findParser) and() (predicate, error) {
	left, err := p.not()
	for err == nil && len(p.args) > 0 && p.args[0] != ")" && p.args[0] != "-o" && p.args[0] != "-or" {
		p.accept("-a", "-and")
		var right predicate
		before := left
		right, err = p.not()
		left = func(v *visit) bool { return before(v) && right(v) }
	}
	return left, err
}

func (p *findParser) not() (predicate, error) {
	if p.accept("!", "-not") {
		e, err := p.not()
		return func(v *visit) bool { return !e(v) }, err
	}
	if p.accept("(") {
		e, err := p.or()
		if err == nil && !p.accept(")") {
			err = errors.New("missing ')'")
		}
		return e, err
	}
	if len(p.args) == 0 {
		return nil, errors.New("expression expected")
	}
	name := p.args[0]
	p.args = p.args[1:]
	return p.primary(name)
}

func always(*visit) bool { return true }

func (p *findParser) primary(name string) (predicate, error) {
	f := p.finder
	switch name {
	case "-true":
		return always, nil
	case "-false":
		return func(*visit) bool { return false }, nil
	case "-depth":
		f.depthFirst = true
		return always, nil
	case "-xdev", "-mount":
		f.oneFS = true
		return always, nil
	case "-empty":
		return isEmpty, nil
	case "-prune":
		return func(*visit) bool { f.prune = true; return true }, nil
	case "-readable", "-writable", "-executable":
		mode := map[string]uint32{"-readable": unix.R_OK, "-writable": unix.W_OK, "-executable": unix.X_OK}[name]
		return func(v *visit) bool { return unix.Access(v.path, mode) == nil }, nil
	case "-print", "-print0", "-delete", "-quit", "-ls":
		f.action = true
		return p.plainAction(name), nil
	case "-exec", "-ok":
		f.action = true
		return p.exec()
	}
	if len(p.args) == 0 || !strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("'%s' is unknown or lacks its argument", name)
	}
	value := p.args[0]
	p.args = p.args[1:]
	return p.withValue(name, value)
}

func isEmpty(v *visit) bool {
	switch v.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return v.st.Size == 0
	case unix.S_IFDIR:
		entries, err := os.ReadDir(v.path)
		return err == nil && len(entries) == 0
	}
	return false
}

func (p *findParser) plainAction(name string) predicate {
	f := p.finder
	switch name {
	case "-print":
		return func(v *visit) bool { fmt.Fprintln(f.call.Out, v.path); return true }
	case "-print0":
		return func(v *visit) bool { f.call.Out.WriteString(v.path + "\x00"); return true }
	case "-quit":
		return func(*visit) bool { f.quit = true; return true }
	case "-ls":
		return f.printf(`%i %k %M %n %u %g %s %p\n`)
	}
	f.depthFirst = true
	return func(v *visit) bool {
		if v.path == "." {
			return true
		}
		err := unix.Unlink(v.path)
		if v.st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = unix.Rmdir(v.path)
		}
		if err != nil {
			f.call.errorf("cannot delete '%s': %s", v.path, Reason(err))
		}
		return err == nil
	}
}

func (p *findParser) exec() (predicate, error) {
	var command []string
	for len(p.args) > 0 && p.args[0] != ";" {
		arg := p.args[0]
		p.args = p.args[1:]
		if arg == "+" && len(command) > 1 && command[len(command)-1] == "{}" {
			batch := &findBatch{command: command[:len(command)-1]}
			p.finder.batches = append(p.finder.batches, batch)
			return func(v *visit) bool { batch.add(p.finder.call, v.path); return true }, nil
		}
		command = append(command, arg)
	}
	if len(p.args) == 0 || len(command) == 0 {
		return nil, errors.New("missing argument to '-exec'")
	}
	p.args = p.args[1:]
	return func(v *visit) bool {
		args := make([]string, len(command))
		for i, arg := range command {
			args[i] = strings.ReplaceAll(arg, "{}", v.path)
		}
		return runProgram(p.finder.call, args) == 0
	}, nil
}

func (p *findParser) withValue(name, value string) (predicate, error) {
	f := p.finder
	switch name {
	case "-name", "-iname":
		return matchName(value, name == "-iname", func(v *visit) string { return path.Base(v.path) }), nil
	case "-path", "-ipath", "-wholename":
		return matchName(value, name == "-ipath", func(v *visit) string { return v.path }), nil
	case "-lname":
		return matchName(value, false, func(v *visit) string { target, _ := os.Readlink(v.path); return target }), nil
	case "-type":
		return p.kind(value)
	case "-perm":
		return p.perm(value)
	case "-size":
		return p.size(value)
	case "-newer":
		var st unix.Stat_t
		if err := unix.Stat(value, &st); err != nil {
			return nil, fmt.Errorf("%s: %s", value, Reason(err))
		}
		return func(v *visit) bool { return v.st.Mtim.Nano() > st.Mtim.Nano() }, nil
	case "-user", "-uid":
		id, err := f.users.id(value)
		return func(v *visit) bool { return v.st.Uid == id }, err
	case "-group", "-gid":
		id, err := f.groups.id(value)
		return func(v *visit) bool { return v.st.Gid == id }, err
	case "-printf":
		f.action = true
		return f.printf(value), nil
	case "-samefile":
		var st unix.Stat_t
		if err := unix.Lstat(value, &st); err != nil {
			return nil, fmt.Errorf("%s: %s", value, Reason(err))
		}
		return func(v *visit) bool { return v.st.Ino == st.Ino && v.st.Dev == st.Dev }, nil
	}
	return p.numeric(name, value)
}

func (p *findParser) numeric(name, value string) (predicate, error) {
	compare, n, err := comparison(value)
	if err != nil {
		return nil, fmt.Errorf("invalid argument '%s' to '%s'", value, name)
	}
	now := time.Now()
	age := func(stamp unix.Timespec, unit time.Duration) bool {
		return compare(int64(now.Sub(time.Unix(stamp.Unix())) / unit))
	}
	switch name {
	case "-maxdepth":
		p.finder.maxDepth = int(n)
		return always, nil
	case "-mindepth":
		p.finder.minDepth = int(n)
		return always, nil
	case "-links":
		return func(v *visit) bool { return compare(int64(v.st.Nlink)) }, nil
	case "-inum":
		return func(v *visit) bool { return compare(int64(v.st.Ino)) }, nil
	case "-mtime":
		return func(v *visit) bool { return age(v.st.Mtim, 24*time.Hour) }, nil
	case "-mmin":
		return func(v *visit) bool { return age(v.st.Mtim, time.Minute) }, nil
	case "-ctime":
		return func(v *visit) bool { return age(v.st.Ctim, 24*time.Hour) }, nil
	case "-cmin":
		return func(v *visit) bool { return age(v.st.Ctim, time.Minute) }, nil
	case "-atime":
		return func(v *visit) bool { return age(v.st.Atim, 24*time.Hour) }, nil
	}
	return nil, fmt.Errorf("unknown predicate '%s'", name)
}

// comparison reads +N (more), -N (less) or N.
func comparison(text string) (func(int64) bool, int64, error) {
	n, err := strconv.ParseInt(strings.TrimLeft(text, "+-"), 10, 64)
	switch {
	case strings.HasPrefix(text, "+"):
		return func(v int64) bool { return v > n }, n, err
	case strings.HasPrefix(text, "-"):
		return func(v int64) bool { return v < n }, n, err
	}
	return func(v int64) bool { return v == n }, n, err
}

func matchName(pattern string, fold bool, of func(*visit) string) predicate {
	re, err := globRegexp(pattern, fold)
	if err != nil {
		return func(v *visit) bool { return of(v) == pattern }
	}
	return func(v *visit) bool { return re.MatchString(of(v)) }
}

func (p *findParser) kind(letters string) (predicate, error) {
	if letters == "" || strings.Trim(letters, "fdlcbps,") != "" {
		return nil, fmt.Errorf("unknown argument to -type: %s", letters)
	}
	return func(v *visit) bool {
		letter := modeString(v.st.Mode)[:1]
		if letter == "-" {
			letter = "f"
		}
		return strings.Contains(letters, letter)
	}, nil
}

func (p *findParser) perm(text string) (predicate, error) {
	op := prefixOf(text, "-/+", 1)
	bits, err := ChangeMode(text[len(op):], 0, 0)
	if err != nil {
		return nil, err
	}
	return func(v *visit) bool {
		mode := v.st.Mode & 0o7777
		switch op {
		case "-":
			return mode&bits == bits
		case "/", "+":
			return bits == 0 || mode&bits != 0
		}
		return mode == bits
	}, nil
}

// size counts in blocks of 512 unless there is a suffix, rounded up.
func (p *findParser) size(text string) (predicate, error) {
	unit := int64(512)
	number := text
	if text != "" {
		if at := strings.IndexByte("cwbkMG", text[len(text)-1]); at >= 0 {
			unit = []int64{1, 2, 512, 1 << 10, 1 << 20, 1 << 30}[at]
			number = text[:len(text)-1]
		}
	}
	compare, _, err := comparison(number)
	if err != nil {
		return nil, fmt.Errorf("invalid -size '%s'", text)
	}
	return func(v *visit) bool { return compare((v.st.Size + unit - 1) / unit) }, nil
}
