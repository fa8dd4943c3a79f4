// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// jsonCommand compares a value in the last output. A step of the path is an
// index, a key, KEY=VALUE for the first object of a list that has it, or len. The operators are =, !=, ~ for a regular expression, < and >.
func jsonCommand(ts *script, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: json PATH… OP VALUE")
	}
	path, op, want := args[:len(args)-2], args[len(args)-2], args[len(args)-1]
	document, err := decodeAll([]byte(ts.ReadFile("stdout")))
	if err == nil {
		document, err = step(document, path)
	}
	if err != nil {
		ts.Fatalf("json %s: %v", strings.Join(path, " "), err)
	}
	got := jsonText(document)
	holds, err := compare(got, op, want)
	if err != nil || !holds {
		ts.Fatalf("json %s: %s, want %s %s (%v)", strings.Join(path, " "), got, op, want, err)
	}
}

// decodeAll reads one array, or documents one after the other, as a list.
func decodeAll(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	list := []any{}
	for {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			if len(list) == 1 {
				if inner, ok := list[0].([]any); ok {
					return inner, nil
				}
			}
			return list, nil
		case err != nil:
			return nil, err
		}
		list = append(list, v)
	}
}

func step(v any, path []string) (any, error) {
	for _, name := range path {
		switch at := v.(type) {
		case map[string]any:
			value, ok := at[name]
			if !ok {
				return nil, fmt.Errorf("no key %q in %s", name, jsonText(v))
			}
			v = value
		case []any:
			var err error
			if v, err = element(at, name); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("%s has no %q", jsonText(v), name)
		}
	}
	return v, nil
}

func element(list []any, name string) (any, error) {
	if name == "len" {
		return json.Number(strconv.Itoa(len(list))), nil
	}
	if i, err := strconv.Atoi(name); err == nil && i < len(list) {
		return list[i], nil
	}
	key, value, _ := strings.Cut(name, "=")
	for _, v := range list {
		if object, ok := v.(map[string]any); ok && jsonText(object[key]) == value {
			return v, nil
		}
	}
	return nil, fmt.Errorf("no element %s in %s", name, jsonText(list))
}

// jsonText is a string as it is, anything else as JSON.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func compare(got, op, want string) (bool, error) {
	switch op {
	case "=":
		return got == want, nil
	case "!=":
		return got != want, nil
	case "~":
		return regexp.MatchString(want, got)
	}
	a, err := strconv.ParseFloat(got, 64)
	b, otherErr := strconv.ParseFloat(want, 64)
	switch op {
	case "<":
		return a < b, errors.Join(err, otherErr)
	case ">":
		return a > b, errors.Join(err, otherErr)
	}
	return false, fmt.Errorf("operator %s is unknown", op)
}

func TestJSONCommand(t *testing.T) {
	document, err := decodeAll([]byte(`{"Name":"a","Size":3}` + "\n" + `{"Name":"b","Tags":["x","y"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path     string
		op, want string
		holds    bool
	}{
		{"len", "=", "2", true}, {"0 Size", ">", "2", true}, {"0 Size", "<", "2", false}, {"Name=b Tags len", "=", "2", true},
		{"Name=b Tags 1", "~", "^y$", true}, {"Name=a Size", "!=", "3", false}, {"1 Tags", "=", `["x","y"]`, true},
	} {
		v, err := step(document, strings.Fields(c.path))
		if err != nil {
			t.Fatal(err)
		}
		if holds, err := compare(jsonText(v), c.op, c.want); err != nil || holds != c.holds {
			t.Errorf("%s %s %s: got %v, %v", c.path, c.op, c.want, holds, err)
		}
	}
	if _, err := step(document, []string{"Name=c"}); err == nil {
		t.Error("an element that is not there was found")
	}
}
