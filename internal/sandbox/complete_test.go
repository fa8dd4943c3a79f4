// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Fields of a runtime specification for Linux are either carried out, or refused
// by name, or there is a reason why they say nothing to a sandbox. A field that
// is in no table came with a new version of the specification: it must not be
// ignored silently.
var (
	// carriedOut have a test that starts a process: TestFields, TestInside and
	// others of this package.
	carriedOut = []string{
		"process", "root", "hostname", "domainname", "mounts", "linux",
		"process.terminal", "process.consoleSize", "process.user", "process.args", "process.env", "process.cwd",
		"process.capabilities", "process.rlimits", "process.noNewPrivileges", "process.oomScoreAdj", "process.scheduler", "process.ioPriority",
		"process.consoleSize.height", "process.consoleSize.width",
		"process.user.uid", "process.user.gid", "process.user.umask", "process.user.additionalGids",
		"process.capabilities.bounding", "process.capabilities.effective", "process.capabilities.inheritable", "process.capabilities.permitted", "process.capabilities.ambient",
		"process.rlimits.type", "process.rlimits.hard", "process.rlimits.soft",
		"process.scheduler.policy", "process.scheduler.nice", "process.scheduler.priority", "process.scheduler.flags",
		"process.scheduler.runtime", "process.scheduler.deadline", "process.scheduler.period",
		"process.ioPriority.class", "process.ioPriority.priority",
		"root.readonly",
		"mounts.destination", "mounts.type", "mounts.source", "mounts.options",
		"linux.sysctl", "linux.namespaces", "linux.devices", "linux.rootfsPropagation", "linux.maskedPaths", "linux.readonlyPaths", "linux.personality",
		"linux.namespaces.type", "linux.namespaces.path",
		"linux.devices.path", "linux.devices.type", "linux.devices.major", "linux.devices.minor", "linux.devices.fileMode", "linux.devices.uid", "linux.devices.gid",
		"linux.personality.domain", "linux.personality.flags",
		"linux.uidMappings", "linux.gidMappings", "linux.seccomp",
	}
	// elsewhere are carried out by other packages' code, or have tests of their own.
	elsewhere = []string{
		"linux.uidMappings.", "linux.gidMappings.", // userns_test.go
		"linux.seccomp.",                       // internal/seccomp
		"linux.resources", "linux.cgroupsPath", // internal/cgroup, or refused
	}
	// saysNothing: who made the root and where, notes, and other systems' fields.
	saysNothing = []string{
		"ociVersion", "annotations", "root.path", "solaris", "windows", "vm", "zos", "freebsd",
		"process.commandLine", "process.user.username", // of Windows
	}
	refusedFields = []string{
		"hooks", "process.apparmorProfile", "process.selinuxLabel", "process.execCPUAffinity",
		"mounts.uidMappings", "mounts.gidMappings",
		"linux.netDevices", "linux.mountLabel", "linux.intelRdt", "linux.memoryPolicy", "linux.timeOffsets",
	}
)

// TestEveryFieldHasItsPlace walks the specification's types.
func TestEveryFieldHasItsPlace(t *testing.T) {
	places := map[string]string{}
	for table, fields := range map[string][]string{"carried out": carriedOut, "elsewhere": elsewhere, "says nothing": saysNothing, "refused": refusedFields} {
		for _, f := range fields {
			if places[f] != "" {
				t.Errorf("%s is %s and %s", f, places[f], table)
			}
			places[f] = table
		}
	}
	unseen := maps.Clone(places)
	var visit func(kind reflect.Type, prefix string)
	visit = func(kind reflect.Type, prefix string) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct {
			return
		}
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			field := prefix + name
			delete(unseen, field)
			group := slices.ContainsFunc(elsewhere, func(e string) bool { delete(unseen, prefixOf(e, field)); return prefixOf(e, field) != "" })
			switch place := places[field]; {
			case group:
			case place == "":
				t.Errorf("%s (%s) is in no table", field, kind)
			case place == "carried out":
				visit(kind.Field(i).Type, field+".")
			}
		}
	}
	visit(reflect.TypeFor[specs.Spec](), "")
	for field, table := range unseen {
		t.Errorf("%s is %s, and no field of the specification", field, table)
	}
}

// prefixOf is e where that ends in a dot and field begins with it.
func prefixOf(e, field string) string {
	if strings.HasSuffix(e, ".") && strings.HasPrefix(field, e) {
		return e
	}
	return ""
}

// TestRefusedFieldsAreSet checks that each field that is refused is refused for
// whatever it has been set to.
func TestRefusedFieldsAreSet(t *testing.T) {
	for _, field := range refusedFields {
		spec := newSpec("true")
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/x", Source: "/etc", Options: []string{"bind"}})
		set(t, reflect.ValueOf(spec).Elem(), strings.Split(field, "."))
		if _, err := NewPlan(spec, Options{}); err == nil || !strings.Contains(err.Error(), field[strings.LastIndex(field, ".")+1:]) && !strings.Contains(err.Error(), "uidMappings") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// set gives the field that path leads to a value other than zero.
func set(t *testing.T, v reflect.Value, path []string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		if len(path) > 0 {
			set(t, v.Elem(), path)
		}
		return
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		if len(path) > 0 {
			set(t, v.Index(v.Len()-1), path)
		}
		return
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), reflect.Zero(v.Type().Elem()))
		return
	case reflect.String:
		v.SetString("value")
		return
	}
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name == path[0] {
			set(t, v.Field(i), path[1:])
			return
		}
	}
	t.Fatalf("no field %s in %s", path[0], v.Type())
}
