// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"strconv"
	"strings"
)

// getoptsBuiltin takes one option from the parameters, or from its own further
// arguments (POSIX, getopts).
func getoptsBuiltin(s *Shell, args []string) int {
	if len(args) < 3 {
		s.fail("getopts", "usage: getopts optstring name [arg...]")
		return statusUsage
	}
	spec, name, words := args[1], args[2], s.params
	if len(args) > 3 {
		words = args[3:]
	}
	index, _ := strconv.Atoi(s.vars["OPTIND"].Str)
	index = max(index, 1)
	if index > len(words) || s.optionChar == 1 && (len(words[index-1]) < 2 || words[index-1][0] != '-') {
		s.setString(name, "?")
		return 1
	}
	if words[index-1] == "--" {
		s.setString(name, "?")
		s.setString("OPTIND", strconv.Itoa(index+1))
		return 1
	}
	result, index, char := s.takeOption(spec, words, index)
	s.setString("OPTIND", strconv.Itoa(index))
	s.optionChar = char
	s.setString(name, result)
	return 0
}

// takeOption sets OPTARG and returns the option and where the next one is.
func (s *Shell) takeOption(spec string, words []string, index int) (result string, next, char int) {
	word := words[index-1]
	char = min(s.optionChar, len(word)-1)
	letter := word[char]
	char++
	letters := strings.TrimPrefix(spec, ":")
	at := strings.IndexByte(letters, letter)
	found := at >= 0 && letter != ':'
	takes := found && strings.HasPrefix(letters[at+1:], ":")
	delete(s.vars, "OPTARG")
	result = string(letter)
	switch {
	case !found:
		result = s.badOption(spec, letter, false)
	case takes && char < len(word):
		s.setString("OPTARG", word[char:])
	case takes && index < len(words):
		s.setString("OPTARG", words[index])
		index++
	case takes:
		result = s.badOption(spec, letter, true)
	}
	if takes || char >= len(word) {
		return result, index + 1, 1
	}
	return result, index, char
}

// badOption tells of an option that does not exist or lacks its argument; with
// a ":" before the options it is told by OPTARG alone.
func (s *Shell) badOption(spec string, letter byte, missing bool) string {
	if strings.HasPrefix(spec, ":") {
		s.setString("OPTARG", string(letter))
		if missing {
			return ":"
		}
		return "?"
	}
	if missing {
		s.errorf("no arg for -%c option", letter)
	} else {
		s.errorf("illegal option -%c", letter)
	}
	return "?"
}
