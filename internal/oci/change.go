// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
)

// With returns a copy of c with Dockerfile instructions applied in order, as
// `commit --change` and `import --change` take them: CMD, ENTRYPOINT, ENV,
// EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, with
// Docker's quoting and its expansion of $NAME from the image's own Env. An
// ENTRYPOINT clears the Cmd that c had, but not one set among the changes before
// it, so they have to be given together.
func (c ImageConfig) With(changes ...string) (ImageConfig, error) {
	e := editor{config: c.Config.clone()}
	for _, change := range changes {
		if err := e.apply(change); err != nil {
			return ImageConfig{}, fmt.Errorf("change %q: %w", change, err)
		}
	}
	c.Config = e.config
	return c, nil
}

// clone copies what instructions change in place.
func (c Config) clone() Config {
	c.Env = slices.Clone(c.Env)
	c.OnBuild = slices.Clone(c.OnBuild)
	c.Labels = maps.Clone(c.Labels)
	c.ExposedPorts = maps.Clone(c.ExposedPorts)
	c.Volumes = maps.Clone(c.Volumes)
	return c
}

// editor applies instructions to its config.
type editor struct {
	config Config
	cmdSet bool // by an instruction of this run: an ENTRYPOINT leaves it alone
}

var errNoArgument = errors.New("it needs an argument")

func (e *editor) apply(change string) error {
	if strings.ContainsAny(change, "\n\r\x00") {
		return errors.New("one instruction on one line, please")
	}
	keyword, rest := cutSpace(strings.TrimSpace(change))
	keyword = strings.ToUpper(keyword)
	instruction := e.instruction(keyword)
	if instruction == nil {
		return fmt.Errorf("%q is not an instruction that can change an image's config", keyword)
	}
	if rest == "" {
		return fmt.Errorf("%s: %w", keyword, errNoArgument)
	}
	if err := instruction(rest); err != nil {
		return fmt.Errorf("%s: %w", keyword, err)
	}
	return nil
}

func (e *editor) instruction(keyword string) func(string) error {
	switch keyword {
	case "CMD":
		return e.cmd
	case "ENTRYPOINT":
		return e.entrypoint
	case "ENV":
		return e.env
	case "EXPOSE":
		return e.expose
	case "HEALTHCHECK":
		return e.healthcheck
	case "LABEL":
		return e.label
	case "ONBUILD":
		return e.onBuild
	case "STOPSIGNAL":
		return e.stopSignal
	case "USER":
		return e.user
	case "VOLUME":
		return e.volume
	case "WORKDIR":
		return e.workdir
	}
	return nil
}

func (e *editor) cmd(rest string) (err error) {
	e.config.Cmd, err = e.command(rest)
	e.cmdSet = true
	return err
}

func (e *editor) entrypoint(rest string) (err error) {
	e.config.Entrypoint, err = e.command(rest)
	if !e.cmdSet {
		e.config.Cmd = nil
	}
	return err
}

// command is a JSON array of arguments, or else a line for the shell.
func (e *editor) command(rest string) ([]string, error) {
	args, isJSON, err := parseArray(rest)
	if err != nil || isJSON {
		return args, err
	}
	shell := e.config.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), rest), nil
}

// parseArray parses a JSON array of strings. What is no JSON is no array, as
// Docker has it; an array with something other than strings is an error.
func parseArray(s string) (array []string, isArray bool, err error) {
	var values []any
	if !strings.HasPrefix(s, "[") || json.Unmarshal([]byte(s), &values) != nil {
		return nil, false, nil
	}
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, true, errors.New("the array may hold strings only")
		}
		array = append(array, text)
	}
	return array, true, nil
}

func (e *editor) env(rest string) error {
	before := slices.Clone(e.config.Env) // "ENV a=1 b=$a" takes the a of before
	return pairs(rest, before, func(name, value string) {
		e.config.Env = setEnv(e.config.Env, name, value)
	})
}

// setEnv replaces the variable or adds it at the end.
func setEnv(env []string, name, value string) []string {
	i := slices.IndexFunc(env, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	if i < 0 {
		return append(env, name+"="+value)
	}
	env[i] = name + "=" + value
	return env
}

func (e *editor) label(rest string) error {
	if e.config.Labels == nil {
		e.config.Labels = map[string]string{}
	}
	return pairs(rest, e.config.Env, func(name, value string) { e.config.Labels[name] = value })
}

// pairs reads "name=value name=value", or the old form "name value", and
// expands both sides.
func pairs(rest string, env []string, set func(name, value string)) error {
	words := splitWords(rest)
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		name, value := cutSpace(rest)
		if value == "" {
			return fmt.Errorf("%q: no value; the form is NAME=VALUE", name)
		}
		return pair(name, value, env, set)
	}
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found {
			return fmt.Errorf("%q: no \"=\"; the form is NAME=VALUE", word)
		}
		if err := pair(name, value, env, set); err != nil {
			return err
		}
	}
	return nil
}

func pair(name, value string, env []string, set func(name, value string)) error {
	name, err := expand(name, env)
	if err != nil {
		return err
	}
	if name == "" {
		return errors.New("the name is empty")
	}
	if value, err = expand(value, env); err != nil {
		return err
	}
	set(name, value)
	return nil
}

func (e *editor) user(rest string) (err error) {
	e.config.User, err = expand(rest, e.config.Env)
	return err
}

func (e *editor) workdir(rest string) error {
	dir, err := expand(rest, e.config.Env)
	if err != nil {
		return err
	}
	if dir == "" {
		return errNoArgument
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/", e.config.WorkingDir, dir)
	}
	e.config.WorkingDir = path.Clean(dir)
	return nil
}

func (e *editor) volume(rest string) error {
	volumes, isArray, err := parseArray(rest)
	if err != nil {
		return err
	}
	if !isArray {
		volumes = strings.Fields(rest)
	}
	if e.config.Volumes == nil {
		e.config.Volumes = map[string]struct{}{}
	}
	for _, volume := range volumes {
		if volume, err = expand(strings.TrimSpace(volume), e.config.Env); err != nil {
			return err
		}
		if volume == "" {
			return errors.New("a volume's path is empty")
		}
		e.config.Volumes[volume] = struct{}{}
	}
	return nil
}

func (e *editor) onBuild(rest string) error {
	trigger, _ := cutSpace(rest)
	switch trigger = strings.ToUpper(trigger); trigger {
	case "ONBUILD", "FROM", "MAINTAINER":
		return fmt.Errorf("%s cannot be a trigger", trigger)
	}
	e.config.OnBuild = append(e.config.OnBuild, rest)
	return nil
}

// cutSpace cuts s at its first run of white space.
func cutSpace(s string) (before, after string) {
	i := strings.IndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeftFunc(s[i:], unicode.IsSpace)
}
