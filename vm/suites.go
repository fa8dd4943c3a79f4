// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// A suite is one package's tests.
type suite struct {
	dir       string   // of the package, from the module's root
	arguments []string // of its test program, besides -test.v
}

// suites are the tests that another kernel, cgroup v2 or another root filesystem
// can make a difference to, the longest first. What only reads and writes files is
// left out: the machine has no KVM and is ten times slower.
func suites() []suite {
	return []suite{
		newSuite("cmd/strata", "-test.run="+onKernel),
		newSuite("internal/overlay", "-rapid.checks=20"),
		newSuite("internal/spawn"),
		newSuite("internal/engine", "-test.run=^Test(Mounted|PowerFails)"),
		newSuite("internal/sandbox"),
		newSuite("internal/cgroup"),
		newSuite("internal/rootless"),
		newSuite("internal/leak"),
		newSuite("internal/mount"),
		newSuite("internal/linux"),
	}
}

// onKernel are the end-to-end tests of what a kernel does: namespaces, cgroups,
// mounts, terminals, ids, filters. Those of archives, commits, listings and locks
// are left out, and those that try the same very often.
const onKernel = "^TestScripts$/^(cgroup-v2|exec|inspect-isolation|limits|pause|rootfs|rootfs-host|seccomp|update|userns|" +
	"run-(capabilities|devices|exit|hostname|init|limits|modes|network|privileged|readonly|signals|sysctl|tmpfs|volumes))$|" +
	"^TestScriptsAsUser$/^(exec|rootfs|run-(capabilities|devices|init|limits|network|sysctl|tmpfs)|seccomp)$|" +
	"^Test(Exec|Explain|NoTerminal|NoUserNamespaces|OrdinaryUser($|IDs|OneID|Mounts|sTogether|Namespace|Signals)|Probe|Terminal)"

func newSuite(dir string, arguments ...string) suite {
	return suite{dir, append([]string{"-test.short", "-test.timeout=25m"}, arguments...)}
}

func (s suite) line() string { return s.dir + " " + strings.Join(s.arguments, " ") }

// maySkip has the tests that cannot run there, and why. Any other test that is
// skipped fails: it would have run on a machine that has all that was asked for.
func maySkip() map[string]string {
	const (
		byDescriptor = "layers by descriptor need Linux 6.13"
		byName       = "layers by name need Linux 6.5"
		nested       = "overlay escapes the marks of nested ones since Linux 6.7"
		helper       = "it is the process that another test starts"
	)
	skips := map[string]string{
		"strata/internal/overlay TestChangesOfNestedOverlay": nested,
		"strata/internal/overlay TestHoldMount":              helper,
	}
	for _, name := range []string{"ids_of_its_own", "ids_of_its_own,_init"} {
		skips["strata/cmd/strata TestProbe/"+name] = byDescriptor // userns.txtar has the refusal
	}
	for _, name := range []string{"MountLayers", "MountHostileNames", "MountVolatile", "MountUserXattr", "MountSealedUpper", "MountErrorSaysWhy", "KilledHolder"} {
		skips["strata/internal/overlay Test"+name+"/descriptor"] = byDescriptor
		skips["strata/internal/overlay Test"+name+"/name"] = byName
	}
	return skips
}
