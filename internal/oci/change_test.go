// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

// parent is the config that the changes below start from.
func parent() oci.ImageConfig {
	return oci.ImageConfig{Config: oci.Config{
		Env: []string{"PATH=/bin", "EMPTY=", "WORD=two words"}, Cmd: []string{"sh"}, WorkingDir: "/srv",
		Labels: map[string]string{"k": "v"}, OnBuild: []string{"RUN a"},
	}}
}

// changes are instructions and what they make of the parent.
var changes = []struct {
	changes []string
	want    string // JSON of the fields that are not as in the parent
}{
	{[]string{`CMD ["a", "b c"]`}, `{"Cmd":["a","b c"]}`},
	{[]string{`CMD a "b  c" $PATH`}, `{"Cmd":["/bin/sh","-c","a \"b  c\" $PATH"]}`},
	{[]string{`cmd [a, b]`}, `{"Cmd":["/bin/sh","-c","[a, b]"]}`},
	{[]string{`CMD []`}, `{"Cmd":null}`},
	{[]string{`ENTRYPOINT ["/e"]`}, `{"Entrypoint":["/e"],"Cmd":null}`},
	{[]string{`ENTRYPOINT ["/e"]`, `CMD ["c"]`}, `{"Entrypoint":["/e"],"Cmd":["c"]}`},
	{[]string{`CMD ["c"]`, `ENTRYPOINT ["/e"]`}, `{"Entrypoint":["/e"],"Cmd":["c"]}`},
	{[]string{`ENTRYPOINT exec top -b`}, `{"Entrypoint":["/bin/sh","-c","exec top -b"],"Cmd":null}`},

	{[]string{`ENV A=1`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=1"]}`},
	{[]string{`ENV PATH=$PATH:/usr/bin`}, `{"Env":["PATH=/bin:/usr/bin","EMPTY=","WORD=two words"]}`},
	{[]string{`ENV A=1 B="two words" C='$PATH' D=e\ f G=h"i j"k`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=1","B=two words","C=$PATH","D=e f","G=hi jk"]}`},
	{[]string{`ENV A some words  here `}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=some words  here"]}`},
	{[]string{`ENV A=1 B=$A`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=1","B="]}`},
	{[]string{`ENV A=1`, `ENV B=$A`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=1","B=1"]}`},
	{[]string{`ENV A=${NONE:-x} B=${EMPTY:-y} C=${EMPTY-z} D=${PATH:+set} E=${NONE:+set} F=${NONE-"a }b"}`},
		`{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=x","B=y","C=","D=set","E=","F=a }b"]}`},
	{[]string{`ENV A=\$PATH B="\$PATH \" \\ \n" C=${WORD} D=$WORD E=$ F=$$ G=a=b`},
		`{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=$PATH","B=$PATH \" \\ \\n","C=two words","D=two words","E=$","F=","G=a=b"]}`},
	{[]string{`ENV A=""`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A="]}`},
	{[]string{`ENV A=ä€`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","A=ä€"]}`},

	{[]string{`LABEL a=b "c d"="e f"`}, `{"Labels":{"k":"v","a":"b","c d":"e f"}}`},
	{[]string{`LABEL k=w`, `label k2 v2`}, `{"Labels":{"k":"w","k2":"v2"}}`},

	{[]string{`EXPOSE 80 53/udp 9000-9002/TCP`}, `{"ExposedPorts":{"80/tcp":{},"53/udp":{},"9000/tcp":{},"9001/tcp":{},"9002/tcp":{}}}`},
	{[]string{`ENV P="81 82"`, `EXPOSE $P`}, `{"Env":["PATH=/bin","EMPTY=","WORD=two words","P=81 82"],"ExposedPorts":{"81/tcp":{},"82/tcp":{}}}`},

	{[]string{`USER me:us`}, `{"User":"me:us"}`},
	{[]string{`WORKDIR sub/../x`}, `{"WorkingDir":"/srv/x"}`},
	{[]string{`WORKDIR /a//b/`}, `{"WorkingDir":"/a/b"}`},
	{[]string{`WORKDIR ../../..`}, `{"WorkingDir":"/"}`},
	{[]string{`VOLUME /a /b`}, `{"Volumes":{"/a":{},"/b":{}}}`},
	{[]string{`VOLUME ["/a b", " /c "]`}, `{"Volumes":{"/a b":{},"/c":{}}}`},
	{[]string{`ONBUILD RUN  b`}, `{"OnBuild":["RUN a","RUN  b"]}`},
	{[]string{`STOPSIGNAL SIGTERM`}, `{"StopSignal":"SIGTERM"}`},
	{[]string{`STOPSIGNAL 9`}, `{"StopSignal":"9"}`},
	{[]string{`STOPSIGNAL SIGRTMIN+3`}, `{"StopSignal":"SIGRTMIN+3"}`},

	{[]string{`HEALTHCHECK NONE`}, `{"Healthcheck":{"Test":["NONE"]}}`},
	{[]string{`HEALTHCHECK --interval=5s --timeout=1m --start-period=2s --start-interval=1s --retries=3 CMD curl -f localhost`},
		`{"Healthcheck":{"Test":["CMD-SHELL","curl -f localhost"],"Interval":5000000000,"Timeout":60000000000,"StartPeriod":2000000000,"StartInterval":1000000000,"Retries":3}}`},
	{[]string{`HEALTHCHECK cmd ["a", "b"]`}, `{"Healthcheck":{"Test":["CMD","a","b"]}}`},
	{nil, `{}`},
}

func TestWith(t *testing.T) {
	for _, c := range changes {
		t.Run(strings.Join(c.changes, "; "), func(t *testing.T) {
			want := parent()
			if err := json.Unmarshal([]byte(c.want), &want.Config); err != nil {
				t.Fatal(err)
			}
			before := parent()
			got, err := before.With(c.changes...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(parent(), before); diff != "" {
				t.Error("the original has changed: ", diff)
			}
		})
	}
}

func TestWithRefuses(t *testing.T) {
	for change, want := range map[string]string{
		``:                            `"" is not an instruction`,
		`RUN x`:                       `"RUN" is not an instruction that can change an image's config`,
		`FROM x`:                      `"FROM" is not`,
		`CMD`:                         "CMD: it needs an argument",
		`CMD [1]`:                     "CMD: the array may hold strings only",
		"CMD a\nUSER b":               "one instruction on one line",
		`ENV A`:                       `ENV: "A": no value`,
		`ENV A=1 B`:                   `ENV: "B": no "="`,
		`ENV =x`:                      "ENV: the name is empty",
		`ENV A="x`:                    "a quote is not closed",
		`ENV A='x`:                    "a quote is not closed",
		`ENV A=${B`:                   `a "${" is not closed`,
		`ENV A=${B:`:                  `a "${" is not closed`,
		`ENV A=${B:-x`:                `a "${" is not closed`,
		`ENV A=${}`:                   "bad substitution",
		`ENV A=${B%x}`:                "the modifier '%' is not supported",
		`ENV A=${NONE:?missing}`:      "variable NONE: missing",
		`LABEL a`:                     "no value",
		`EXPOSE http`:                 `port "http": the form is`,
		`EXPOSE 0`:                    "ports from 1 to 65535",
		`EXPOSE 65536`:                "ports from 1 to 65535",
		`EXPOSE 9-8`:                  "ports from 1 to 65535",
		`EXPOSE 80/icmp`:              "the protocol is tcp, udp or sctp",
		`STOPSIGNAL SIGNOTHING`:       `"SIGNOTHING" is no signal`,
		`STOPSIGNAL 65`:               "is no signal",
		`STOPSIGNAL SIGRTMIN+99`:      "is no signal",
		`STOPSIGNAL SIGRTMIN-1`:       "is no signal",
		`ONBUILD ONBUILD RUN x`:       "ONBUILD cannot be a trigger",
		`ONBUILD from x`:              "FROM cannot be a trigger",
		`VOLUME [""]`:                 "a volume's path is empty",
		`WORKDIR ""`:                  "it needs an argument",
		`HEALTHCHECK`:                 "it needs an argument",
		`HEALTHCHECK CMD`:             "the form is NONE, or CMD",
		`HEALTHCHECK CMD []`:          "the command is empty",
		`HEALTHCHECK NONE x`:          "the form is NONE, or CMD",
		`HEALTHCHECK --retries=1`:     "the form is NONE, or CMD",
		`HEALTHCHECK --retries=-1 x`:  "option --retries: ",
		`HEALTHCHECK --timeout=1us x`: "option --timeout: a duration of less than a millisecond",
		`HEALTHCHECK --what=1 CMD x`:  `unknown option "--what"`,
	} {
		got, err := parent().With(change)
		wantError(t, err, "change ")
		wantError(t, err, want)
		if diff := cmp.Diff(oci.ImageConfig{}, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Whatever is taken makes a config that can be written and read.
func FuzzWith(f *testing.F) {
	for _, c := range changes {
		f.Add(strings.Join(c.changes, "\n"))
	}
	f.Add(`ENV A="${B:-${C:-"${D}"}}" E=\`)
	f.Fuzz(func(t *testing.T, lines string) {
		before := parent()
		got, err := before.With(strings.Split(lines, "\n")...)
		if diff := cmp.Diff(parent(), before); diff != "" {
			t.Error("the original has changed: ", diff)
		}
		if err != nil {
			return
		}
		document, err := got.Document()
		if err == nil {
			_, err = oci.ParseConfig(document)
		}
		if err != nil {
			t.Error(err)
		}
	})
}
