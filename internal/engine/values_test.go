// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/oci"
)

func mknodWhiteout(path string) error { return unix.Mknod(path, unix.S_IFCHR, 0) }

func TestMergeEnv(t *testing.T) {
	for _, c := range []struct{ env, over, want []string }{
		{nil, nil, nil},
		{[]string{"A=1", "B=2"}, nil, []string{"A=1", "B=2"}},
		{[]string{"A=1", "B=2"}, []string{"A=3"}, []string{"A=3", "B=2"}},
		{[]string{"A=1"}, []string{"B=2", "B=3"}, []string{"A=1", "B=3"}},
		{[]string{"AB=1"}, []string{"A=2"}, []string{"AB=1", "A=2"}},
		{[]string{"A=1=2"}, []string{"A="}, []string{"A="}},
		{nil, []string{"X=a=b"}, []string{"X=a=b"}},
	} {
		env := append([]string(nil), c.env...)
		if diff := cmp.Diff(c.want, mergeEnv(env, c.over)); diff != "" {
			t.Errorf("%q over %q:\n%s", c.over, c.env, diff)
		}
		if diff := cmp.Diff(append([]string(nil), c.env...), env); diff != "" {
			t.Errorf("the image's own was changed:\n%s", diff)
		}
	}
}

func text(s string) *string { return &s }

// TestConfigure has Docker's rules of entrypoint and command.
func TestConfigure(t *testing.T) {
	image := oci.Config{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}, User: "user", WorkingDir: "/dir", Labels: map[string]string{"a": "image", "b": "image"}}
	for name, c := range map[string]struct {
		o    CreateOptions
		want func(*oci.Config)
	}{
		"nothing":               {CreateOptions{}, func(*oci.Config) {}},
		"a command":             {CreateOptions{Command: []string{"x", "y"}}, func(c *oci.Config) { c.Cmd = []string{"x", "y"} }},
		"an entrypoint":         {CreateOptions{Entrypoint: text("e")}, func(c *oci.Config) { c.Entrypoint, c.Cmd = []string{"e"}, nil }},
		"both":                  {CreateOptions{Entrypoint: text("e"), Command: []string{"x"}}, func(c *oci.Config) { c.Entrypoint, c.Cmd = []string{"e"}, []string{"x"} }},
		"no entrypoint":         {CreateOptions{Entrypoint: text(""), Command: []string{"x"}}, func(c *oci.Config) { c.Entrypoint, c.Cmd = nil, []string{"x"} }},
		"user and directory":    {CreateOptions{User: "0:0", WorkDir: "/"}, func(c *oci.Config) { c.User, c.WorkingDir = "0:0", "/" }},
		"environment":           {CreateOptions{Env: []string{"A=1"}}, func(c *oci.Config) { c.Env = []string{"A=1"} }},
		"labels over the image": {CreateOptions{Labels: map[string]string{"b": "flag"}}, func(c *oci.Config) { c.Labels = map[string]string{"a": "image", "b": "flag"} }},
	} {
		got, want := image, image
		configure(&got, c.o)
		c.want(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if image.Labels["b"] != "image" {
		t.Error("the image's own labels were changed")
	}
}
