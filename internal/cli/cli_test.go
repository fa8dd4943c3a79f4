// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// given is what a command line set.
type given struct {
	Yes, Help   bool
	Name        string
	Env, Rest   []string
	NameChanged bool
}

func parse(ends bool, args ...string) (g given, err error) {
	s := FlagSet{ArgumentsEnd: ends}
	s.BoolVar(&g.Yes, "yes", "y", "")
	s.BoolVar(&g.Help, "interactive", "i", "")
	s.StringVar(&g.Name, "name", "n", "NAME", "")
	s.StringsVar(&g.Env, "env", "e", "NAME=VALUE", "")
	g.Rest, err = s.Parse(args)
	g.NameChanged = s.Changed("name")
	return g, err
}

func TestParse(t *testing.T) {
	cases := map[string]struct {
		ends bool
		want given
	}{
		"":                     {false, given{}},
		"--name x a":           {false, given{Name: "x", NameChanged: true, Rest: []string{"a"}}},
		"--name=x":             {false, given{Name: "x", NameChanged: true}},
		"--name= a":            {false, given{NameChanged: true, Rest: []string{"a"}}},
		"-n x":                 {false, given{Name: "x", NameChanged: true}},
		"-nx":                  {false, given{Name: "x", NameChanged: true}},
		"-n=x":                 {false, given{Name: "x", NameChanged: true}},
		"-yi":                  {false, given{Yes: true, Help: true}},
		"-yn x":                {false, given{Yes: true, Name: "x", NameChanged: true}},
		"--yes=false":          {false, given{}},
		"-e A=1 --env B=2 -eC": {false, given{Env: []string{"A=1", "B=2", "C"}}},
		"a -y b":               {false, given{Yes: true, Rest: []string{"a", "b"}}},
		"a -y b ":              {true, given{Rest: []string{"a", "-y", "b"}}},
		"-y a -n":              {true, given{Yes: true, Rest: []string{"a", "-n"}}},
		"-- -y":                {false, given{Rest: []string{"-y"}}},
		"-":                    {false, given{Rest: []string{"-"}}},
		"--name -y":            {false, given{Name: "-y", NameChanged: true}},
	}
	for line, c := range cases {
		got, err := parse(c.ends, strings.Fields(line)...)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", line, err, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"--nope":      "unknown flag: --nope",
		"--nope=1":    "unknown flag: --nope",
		"-x":          "unknown flag: -x",
		"-yx":         "unknown flag: -x",
		"--name":      "flag needs an argument: --name",
		"-n":          "flag needs an argument: -n",
		"--yes=maybe": `flag --yes: "maybe" is neither true nor false`,
	} {
		if _, err := parse(false, strings.Fields(line)...); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}

// program is one with two verbs; what they get is appended to log.
func program(out *strings.Builder, log *[]string) *Program {
	var root string
	p := &Program{Name: "prog", Short: "A program", Out: out, Verbs: []Verb{
		{"copy", func() *Command {
			var force bool
			c := &Command{Use: "copy [-f] FROM TO", Short: "Copy things", Min: 2, Max: 2,
				Complete: func(args []string) []string { return []string{"from" + strings.Join(args, ""), "far"} }}
			c.Flags().BoolVar(&force, "force", "f", "do it")
			c.Flags().BoolVar(new(bool), "secret", "", "do not tell")
			c.Flags().Hide("secret")
			c.Run = func(args []string) error {
				*log = append(*log, "copy", root, strings.Join(args, " "))
				if force {
					*log = append(*log, "force")
				}
				return nil
			}
			return c
		}},
		{"raw", func() *Command {
			return &Command{Use: "raw", Short: "Take all", Raw: true, Run: func(args []string) error {
				*log = append(*log, args...)
				return nil
			}}
		}},
		{"any", func() *Command {
			return &Command{Use: "any", Short: "Take any", Min: 1, Max: -1, Run: func([]string) error { return errors.New("its own") }}
		}},
		{"set", func() *Command {
			return &Command{Use: "set COMMAND", Short: "Manage sets", Verbs: []Verb{{"show", func() *Command {
				var long bool
				c := &Command{Use: "set show [-l] SET", Short: "Show a set", Min: 1, Max: 1,
					Complete: func([]string) []string { return []string{"one", "two"} }}
				c.Flags().BoolVar(&long, "long", "l", "all of it")
				c.Run = func(args []string) error {
					*log = append(*log, "show", root, strings.Join(args, " "), fmt.Sprint(long))
					return nil
				}
				return c
			}}}}
		}},
	}}
	p.Global.StringVar(&root, "root", "", "DIR", "where")
	return p
}

func TestProgram(t *testing.T) {
	cases := map[string]struct {
		log, err string
		usage    bool
	}{
		"copy a b":              {"copy,,a b", "", false},
		"--root /r copy a b":    {"copy,/r,a b", "", false},
		"copy --root=/r a -f b": {"copy,/r,a b,force", "", false},
		"raw -x --help":         {"-x,--help", "", false},
		"any x":                 {"", "its own", false},
		"copy a":                {"", "copy takes 2 arguments, not 1: prog copy [-f] FROM TO", true},
		"any":                   {"", "any takes at least 1 argument, not 0: prog any", true},
		"set show -l x":         {"show,,x,true", "", false},
		"set --root r show x":   {"show,r,x,false", "", false},
		"set nope":              {"", `"nope" is not a command of set; see prog set --help`, true},
		"set show":              {"", "set takes 1 arguments, not 0: prog set show [-l] SET", true},
		"set show --nope":       {"", "set show: unknown flag: --nope; see prog set show --help", true},
		"set -x show":           {"", "set: unknown flag: -x; see prog set --help", true},
		"nope":                  {"", `"nope" is not a command; see prog --help`, true},
		"copy --nope":           {"", "copy: unknown flag: --nope; see prog copy --help", true},
		"--nope copy":           {"", "unknown flag: --nope; see prog --help", true},
		"completion tcsh":       {"", "completion takes the name of a shell: prog completion bash, zsh or fish", true},
	}
	for line, c := range cases {
		var out strings.Builder
		var log []string
		err := program(&out, &log).Run(strings.Fields(line))
		var usage *UsageError
		text := ""
		if err != nil {
			text = err.Error()
		}
		if strings.Join(log, ",") != c.log || text != c.err || errors.As(err, &usage) != c.usage {
			t.Errorf("%q: got %q, error %q, usage %v; want %q, %q, %v", line, log, text, usage != nil, c.log, c.err, c.usage)
		}
	}
}

func TestHelp(t *testing.T) {
	for line, want := range map[string][]string{
		"":              {"A program", "Usage: prog [OPTIONS] COMMAND", "copy        Copy things", "--root DIR", "completion"},
		"--help":        {"A program"},
		"-h":            {"A program"},
		"copy --help":   {"Copy things", "Usage: prog copy [-f] FROM TO", "-f, --force   do it", "-h, --help    show", "Global options:"},
		"help copy":     {"Copy things"},
		"copy -h":       {"Copy things"},
		"set":           {"Manage sets", "Usage: prog set COMMAND", "show        Show a set", "prog set COMMAND --help"},
		"set --help":    {"Manage sets"},
		"help set":      {"Manage sets"},
		"set show -h":   {"Show a set", "Usage: prog set show [-l] SET"},
		"help set show": {"Show a set"},
	} {
		var out strings.Builder
		if err := program(&out, new([]string)).Run(strings.Fields(line)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%q: no %q in\n%s", line, w, out.String())
			}
		}
		if strings.Contains(out.String(), "secret") {
			t.Errorf("%q tells of a hidden flag", line)
		}
	}
}

func TestComplete(t *testing.T) {
	for line, want := range map[string]string{
		"__complete":                 "completion help copy raw any set --root",
		"__complete set s":           "show",
		"__complete set ":            "show --root",
		"__complete set show -":      "--long --help --root",
		"__complete set show -l t":   "two",
		"__complete set nope x":      "",
		"__complete co":              "completion copy",
		"__complete --root x co":     "completion copy",
		"__complete copy --":         "--force --help --root",
		"__complete copy f":          "from far",
		"__complete copy -f one fro": "fromone",
		"__complete any x":           "",
		"__complete nope x":          "",
	} {
		var out strings.Builder
		if err := program(&out, new([]string)).Run(strings.Split(line, " ")); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestBashScriptIsOne(t *testing.T) {
	var out strings.Builder
	if err := program(&out, new([]string)).Run([]string{"completion", "bash"}); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("bash", "-c", out.String()+"complete -p prog").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-yn x --env=A -- b")
	f.Fuzz(func(t *testing.T, line string) {
		parse(false, strings.Split(line, " ")...)
		parse(true, strings.Split(line, " ")...)
	})
}
