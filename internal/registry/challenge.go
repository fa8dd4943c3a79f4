// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// A challenge says how a server wants requests to be authenticated (RFC 9110,
// section 11.6.1).
type challenge struct {
	scheme     string // in lower case
	parameters map[string]string
}

const (
	maxChallenges = 16
	maxParameters = 16
)

// parseChallenges reads the WWW-Authenticate headers of an answer, each of which
// may hold several challenges. What cannot be read ends its header.
func parseChallenges(headers []string) (found []challenge) {
	for _, h := range headers {
		for len(found) < maxChallenges {
			var c challenge
			var ok bool
			if c, h, ok = nextChallenge(h); !ok {
				break
			}
			found = append(found, c)
		}
	}
	return found
}

// nextChallenge takes a scheme with its parameters from the front of s.
func nextChallenge(s string) (c challenge, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t,")
	scheme, s := cutToken(s)
	if scheme == "" {
		return c, "", false
	}
	c = challenge{scheme: strings.ToLower(scheme), parameters: map[string]string{}}
	for len(c.parameters) < maxParameters {
		name, value, after, ok := nextParameter(s)
		if !ok {
			break
		}
		c.parameters[strings.ToLower(name)], s = value, after
	}
	return c, s, true
}

// nextParameter takes name=value from the front of s, with the comma before it;
// a token without "=" is the next challenge's scheme.
func nextParameter(s string) (name, value, rest string, ok bool) {
	name, rest = cutToken(strings.TrimLeft(s, " \t,"))
	rest = strings.TrimLeft(rest, " \t")
	if name == "" || !strings.HasPrefix(rest, "=") {
		return "", "", s, false
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	if strings.HasPrefix(rest, `"`) {
		value, rest, ok = cutQuoted(rest[1:])
		return name, value, rest, ok
	}
	value, rest = cutToken(rest)
	return name, value, rest, true
}

// cutQuoted takes the rest of a quoted string.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// cutToken takes a token (RFC 9110, section 5.6.2), with what base64 and
// addresses without quotes need besides.
func cutToken(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~/:", c)
	})
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}
