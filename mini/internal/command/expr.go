// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// expr prints the value of an expression; the status is 1 where it is empty or
// zero, and 2 for a mistake.
func expr(c *Call) int {
	if len(c.Args) > 0 && c.Args[0] == "--" {
		c.Args = c.Args[1:]
	}
	e := &exprParser{args: c.Args}
	value := e.level(0)
	if e.err == nil && len(e.args) > 0 {
		e.err = errors.New("syntax error")
	}
	if e.err != nil {
		return c.usage("%v", e.err)
	}
	fmt.Fprintln(c.Out, value)
	if isNull(value) {
		return 1
	}
	return 0
}

// exprLevels are the binary operators, weakest first.
var exprLevels = [...]string{"|", "&", "= == != < <= > >=", "+ -", "* / %", ":"}

type exprParser struct {
	args []string
	err  error
}

func (e *exprParser) fail(text string) string {
	if e.err == nil {
		e.err = errors.New(text)
	}
	return ""
}

func (e *exprParser) level(n int) string {
	if n == len(exprLevels) {
		return e.operand()
	}
	left := e.level(n + 1)
	for e.err == nil && len(e.args) > 0 && strings.Contains(" "+exprLevels[n]+" ", " "+e.args[0]+" ") {
		op := e.args[0]
		e.args = e.args[1:]
		left = e.apply(left, op, e.level(n+1))
	}
	return left
}

func (e *exprParser) operand() string {
	if len(e.args) == 0 {
		return e.fail("syntax error")
	}
	arg := e.args[0]
	e.args = e.args[1:]
	switch {
	case arg == "(":
		value := e.level(0)
		if len(e.args) == 0 || e.args[0] != ")" {
			return e.fail("syntax error")
		}
		e.args = e.args[1:]
		return value
	case arg == "length" && len(e.args) > 0:
		return strconv.Itoa(len([]rune(e.operand())))
	case arg == "match" && len(e.args) > 1:
		text := e.operand()
		return e.match(text, e.operand())
	case arg == "substr" && len(e.args) > 2:
		return substr(e.operand(), e.integer(e.operand()), e.integer(e.operand()))
	case arg == "index" && len(e.args) > 1:
		text := e.operand()
		return strconv.Itoa(strings.IndexAny(text, e.operand()) + 1)
	}
	return arg
}

func substr(text string, from, count int64) string {
	if from < 1 || count < 1 || from > int64(len(text)) {
		return ""
	}
	return text[from-1 : min(int64(len(text)), from-1+min(count, int64(len(text))))]
}

func (e *exprParser) apply(left, op, right string) string {
	switch op {
	case "|":
		if !isNull(left) {
			return left
		}
		return right
	case "&":
		if isNull(left) || isNull(right) {
			return "0"
		}
		return left
	case ":":
		return e.match(left, right)
	case "+", "-", "*", "/", "%":
		return e.arithmetic(e.integer(left), op, e.integer(right))
	}
	return compareExpr(left, op, right)
}

func (e *exprParser) integer(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		e.fail("non-integer argument")
	}
	return n
}

func (e *exprParser) arithmetic(a int64, op string, b int64) string {
	if e.err != nil {
		return ""
	}
	switch op {
	case "+":
		a += b
	case "-":
		a -= b
	case "*":
		a *= b
	default:
		if b == 0 {
			return e.fail("division by zero")
		}
		if op == "/" {
			a /= b
		} else {
			a %= b
		}
	}
	return strconv.FormatInt(a, 10)
}

func compareExpr(left, op, right string) string {
	order := strings.Compare(left, right)
	a, errA := strconv.ParseInt(left, 10, 64)
	b, errB := strconv.ParseInt(right, 10, 64)
	if errA == nil && errB == nil {
		order = 0
		if a != b {
			order = 1
		}
		if a < b {
			order = -1
		}
	}
	if map[string]bool{"=": order == 0, "==": order == 0, "!=": order != 0, "<": order < 0,
		"<=": order <= 0, ">": order > 0, ">=": order >= 0}[op] {
		return "1"
	}
	return "0"
}

// match is the ":" operator: anchored at the start; the first group if there
// is one, else the number of characters that match.
func (e *exprParser) match(text, pattern string) string {
	re, err := regexp.Compile("(?s)^(?:" + fromBasic(strings.TrimPrefix(pattern, "^")) + ")")
	if err != nil {
		return e.fail("invalid regular expression")
	}
	found := re.FindStringSubmatch(text)
	switch {
	case re.NumSubexp() > 0 && found == nil:
		return ""
	case re.NumSubexp() > 0:
		return found[1]
	case found == nil:
		return "0"
	}
	return strconv.Itoa(len([]rune(found[0])))
}

func isNull(value string) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	return value == "" || err == nil && n == 0
}
