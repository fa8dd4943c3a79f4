// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"strata/internal/oci"
)

const (
	tagsPerPage = "1000"
	maxTags     = 100_000
	maxPages    = 1000
	maxPage     = 8 << 20 // bytes
)

// Tags lists the tags of the repository, in the registry's order.
func (r *Repository) Tags(ctx context.Context) (tags []string, err error) {
	e := r.own()
	next := request{
		method: http.MethodGet, path: path(e.name, "tags", "list"), query: url.Values{"n": {tagsPerPage}},
		scopes: []string{pullScope(e.name)}, expect: []int{http.StatusOK},
	}
	for pages := 0; ; pages++ {
		if pages == maxPages || len(tags) > maxTags {
			return nil, fmt.Errorf("tags of %s: the registry's list does not end", r)
		}
		page, link, err := e.page(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("tags of %s: %w", r, err)
		}
		tags = append(tags, page...)
		if link == nil {
			return tags, nil
		}
		next.url = link
	}
}

// page gets one page of the list and the address of the next one, nil at the end.
func (e *endpoint) page(ctx context.Context, r request) (tags []string, next *url.URL, err error) {
	resp, err := e.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err != nil {
		return nil, nil, e.host.explained(err)
	}
	if len(data) > maxPage {
		return nil, nil, fmt.Errorf("a page of more than %d bytes", maxPage)
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, nil, err
	}
	for _, tag := range list.Tags {
		if _, err := oci.ParseReference("x:" + tag); err != nil {
			return nil, nil, fmt.Errorf("the registry names a tag %q", printable(tag))
		}
	}
	next, err = e.link(resp)
	return list.Tags, next, err
}

// link reads `Link: </v2/…?last=x&n=1000>; rel="next"` (RFC 5988).
func (e *endpoint) link(resp *http.Response) (*url.URL, error) {
	for _, header := range resp.Header.Values("Link") {
		target, parameters, found := strings.Cut(strings.TrimPrefix(header, "<"), ">")
		if !found || !strings.Contains(parameters, "next") {
			continue
		}
		next, err := e.next(resp.Request.URL, target)
		if err != nil {
			return nil, err
		}
		if !e.owns(next) {
			return nil, errors.New("its next page is on another host, " + printable(next.Host))
		}
		return next, nil
	}
	return nil, nil
}
