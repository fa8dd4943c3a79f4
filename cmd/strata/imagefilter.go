// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"strata/internal/oci"
)

// imageFilters are what --filter asks of an image: all of it.
type imageFilters struct {
	all    bool // dangling=false
	checks []func(oci.ImageConfig) bool
}

func (f *imageFilters) match(c oci.ImageConfig) bool {
	for _, check := range f.checks {
		if !check(c) {
			return false
		}
	}
	return true
}

var errFilter = errors.New("it is until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE] or dangling=true|false")

// parseImageFilters reads filters as docker image prune takes them.
func parseImageFilters(filters []string, now time.Time) (*imageFilters, error) {
	f := &imageFilters{}
	for _, filter := range filters {
		key, value, hasValue := strings.Cut(filter, "=")
		err := error(nil)
		switch {
		case !hasValue || value == "":
			err = errFilter
		case key == "until":
			err = f.until(value, now)
		case key == "label":
			f.checks = append(f.checks, hasLabel(value))
		case key == "label!":
			has := hasLabel(value)
			f.checks = append(f.checks, func(c oci.ImageConfig) bool { return !has(c) })
		case key == "dangling":
			err = f.dangling(value)
		default:
			err = errFilter
		}
		if err != nil {
			return nil, fmt.Errorf("--filter %s: %w", filter, err)
		}
	}
	return f, nil
}

func (f *imageFilters) dangling(value string) error {
	only, err := strconv.ParseBool(value)
	if err != nil {
		return errFilter
	}
	f.all = !only
	return nil
}

// until leaves images that were made before a time. One that does not say when is
// older than any.
func (f *imageFilters) until(value string, now time.Time) error {
	limit, err := parseTime(value, now)
	f.checks = append(f.checks, func(c oci.ImageConfig) bool { return c.Created == nil || c.Created.Before(limit) })
	return err
}

// timeLayouts are those that Docker takes, without a zone for the local one.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", "2006-01-02"}

// parseTime reads a duration before now, seconds of Unix time, or a date.
func parseTime(value string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(value); err == nil {
		return now.Add(-d), nil
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration (24h) nor a time (2006-01-02T15:04:05)", value)
}

// hasLabel matches KEY or KEY=VALUE.
func hasLabel(want string) func(oci.ImageConfig) bool {
	key, value, hasValue := strings.Cut(want, "=")
	return func(c oci.ImageConfig) bool {
		got, has := c.Config.Labels[key]
		return has && (!hasValue || got == value)
	}
}
