// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"strconv"

	"strata/internal/oci"
)

// parsePlainRecord is json.Unmarshal for a record as most are, without what only
// some containers have and without any escape in a string. It is false for every
// other. The first use of JSON's reflection in a process takes a third of a
// millisecond, a tenth of an exec.
func parsePlainRecord(data []byte) (r Record, ok bool) {
	s := scanner{rest: data, ok: true}
	s.object(func(key string) {
		switch key {
		case "version":
			r.Version = s.integer()
		case "id":
			r.ID = s.text()
		case "name":
			r.Name = s.text()
		case "created":
			s.unmarshal(&r.Created)
		case "image":
			r.Image = s.text()
		case "imageID":
			s.unmarshal(&r.ImageID)
		case "manifest":
			s.unmarshal(&r.Manifest)
		case "rootfs":
			r.Rootfs = s.text()
		case "layers":
			s.array(func() {
				r.Layers = append(r.Layers, "")
				s.unmarshal(&r.Layers[len(r.Layers)-1])
			})
		case "config":
			s.config(&r.Config)
		case "host":
			s.host(&r.Host)
		case "autoRemove":
			r.AutoRemove = s.boolean()
		default:
			s.ok = false
		}
	})
	return r, s.ok && len(s.rest) == 0
}

func (s *scanner) config(c *oci.Config) {
	s.object(func(key string) {
		switch key {
		case "User":
			c.User = s.text()
		case "Env":
			c.Env = s.texts()
		case "Entrypoint":
			c.Entrypoint = s.texts()
		case "Cmd":
			c.Cmd = s.texts()
		case "WorkingDir":
			c.WorkingDir = s.text()
		default:
			s.ok = false
		}
	})
}

func (s *scanner) host(h *Host) {
	s.object(func(key string) {
		switch key {
		case "hostname":
			h.Hostname = s.text()
		case "network":
			h.Network = s.text()
		case "terminal":
			h.Terminal = s.boolean()
		case "openStdin":
			h.OpenStdin = s.boolean()
		case "readOnly":
			h.ReadOnly = s.boolean()
		case "init":
			h.Init = s.boolean()
		default:
			s.ok = false
		}
	})
}

// parsePlainState is the same for the state of a running container.
func parsePlainState(data []byte) (st State, ok bool) {
	s := scanner{rest: data, ok: true}
	s.object(func(key string) {
		switch key {
		case "status":
			st.Status = Status(s.text())
		case "pid":
			st.Pid = s.integer()
		case "bootID":
			st.BootID = s.text()
		case "ticks":
			st.Ticks = uint64(s.integer())
		case "started":
			s.unmarshal(&st.Started)
		case "exitCode":
			st.ExitCode = s.integer()
		case "cgroup":
			st.Cgroup = s.text()
		default:
			s.ok = false
		}
	})
	return st, s.ok && len(s.rest) == 0
}

// A scanner reads JSON as json.Marshal writes it, of which it knows a part: what
// it does not know makes ok false, after which the rest is without meaning.
type scanner struct {
	rest []byte
	ok   bool
}

// skip takes c, if it is next.
func (s *scanner) skip(c byte) bool {
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) expect(c byte) {
	if !s.skip(c) {
		s.ok = false
	}
}

// sequence reads what stands between two brackets, one item at a time.
func (s *scanner) sequence(begin, end byte, item func()) {
	s.expect(begin)
	if s.skip(end) {
		s.ok = false // an empty one is not the same as none
		return
	}
	for s.ok {
		item()
		if !s.skip(',') {
			s.expect(end)
			return
		}
	}
}

func (s *scanner) object(field func(key string)) {
	s.sequence('{', '}', func() {
		key := s.text()
		s.expect(':')
		if s.ok {
			field(key)
		}
	})
}

func (s *scanner) array(item func()) { s.sequence('[', ']', item) }

func (s *scanner) texts() (list []string) {
	s.array(func() { list = append(list, s.text()) })
	return list
}

// text reads a string of printable ASCII characters.
func (s *scanner) text() string {
	s.expect('"')
	n := bytes.IndexByte(s.rest, '"')
	if !s.ok || n < 0 {
		s.ok = false
		return ""
	}
	for _, c := range s.rest[:n] {
		if c < ' ' || c > '~' || c == '\\' {
			s.ok = false
			return ""
		}
	}
	text := string(s.rest[:n])
	s.rest = s.rest[n+1:]
	return text
}

func (s *scanner) unmarshal(v interface{ UnmarshalText([]byte) error }) {
	text := s.text()
	if s.ok && v.UnmarshalText([]byte(text)) != nil {
		s.ok = false
	}
}

// integer reads one without a sign that has no more than 18 digits.
func (s *scanner) integer() int {
	n := 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	i, err := strconv.Atoi(string(s.rest[:n]))
	if err != nil || n > 18 || n > 1 && s.rest[0] == '0' {
		s.ok = false
	}
	s.rest = s.rest[n:]
	return i
}

func (s *scanner) boolean() bool {
	for _, b := range []bool{true, false} {
		if rest, ok := bytes.CutPrefix(s.rest, strconv.AppendBool(nil, b)); ok {
			s.rest = rest
			return b
		}
	}
	s.ok = false
	return false
}
