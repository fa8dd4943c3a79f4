// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
)

func newPsCommand() *cli.Command {
	var all bool
	var l listing
	c := &cli.Command{
		Use:   "ps [OPTIONS]",
		Short: "List containers",
		Min:   0, Max: 0,
		Run: func([]string) error {
			return withEngine(func(e *engine.Engine) error {
				entries, err := e.Containers()
				if printErr := printContainers(entries, all, &l); printErr != nil {
					return printErr
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&all, "all", "a", "show stopped containers too")
	l.bind(c)
	return c
}

func printContainers(entries []container.Entry, all bool, l *listing) error {
	columns := []column{
		{"CONTAINER ID", "ID"}, {"IMAGE", "Image"}, {"COMMAND", "Command"}, {"CREATED", "RunningFor"}, {"STATUS", "Status"},
		{"NAMES", "Names"}, {"", "State"}, {"", "CreatedAt"}, {"", "Labels"}, {"", "Networks"}, {"", "Mounts"},
	}
	var rows [][]any
	for _, e := range entries {
		if all || e.State.Running() {
			rows = append(rows, containerRow(&e, l.noTrunc))
		}
	}
	return l.print(columns, rows)
}

func containerRow(e *container.Entry, whole bool) []any {
	r := &e.Record
	id, command := r.ID[:12], strconv.Quote(commandOf(r))
	if whole {
		id = r.ID
	} else {
		command = shorten(command, 22)
	}
	var mounts []string
	for _, m := range r.Host.Mounts {
		mounts = append(mounts, m.Target)
	}
	return []any{
		id, imageOf(r), command, ago(r.Created), statusText(e.State), r.DisplayName(),
		e.State.Status, r.Created.Format(time.RFC3339), labelText(r.Config.Labels), r.Host.Network, strings.Join(mounts, ","),
	}
}

func commandOf(r *container.Record) string {
	return strings.Join(append(slices.Clone(r.Config.Entrypoint), r.Config.Cmd...), " ")
}

// imageOf is what the container stands on.
func imageOf(r *container.Record) string {
	if r.Rootfs != "" {
		return "rootfs:" + r.Rootfs
	}
	return r.Image
}

func statusText(s container.State) string {
	switch {
	case s.Status == container.Running:
		return "Up " + units.HumanDuration(time.Since(s.Started))
	case s.Status == container.Paused:
		return "Up " + units.HumanDuration(time.Since(s.Started)) + " (Paused)"
	case s.Status == container.Created:
		return "Created"
	case s.Finished.IsZero():
		return s.ExitText()
	}
	return s.ExitText() + " " + ago(s.Finished)
}

func labelText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, name+"="+labels[name])
	}
	return strings.Join(pairs, ",")
}
