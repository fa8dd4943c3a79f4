// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// builtinProfile parses the default profile.
func builtinProfile(t testing.TB) *Profile {
	t.Helper()
	p, err := Parse([]byte(builtin))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBuiltinIsMobys compares the embedded profile with the module's.
func TestBuiltinIsMobys(t *testing.T) {
	var got, want any
	document, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(builtin), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(document, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("default.json is not the module's profile (-want +got); go generate ./internal/seccomp\n%s", diff)
	}
}

// TestReady holds the embedded programs to the compiler, and the list of
// capabilities that matter to the profile.
func TestReady(t *testing.T) {
	p := builtinProfile(t)
	for _, arch := range []string{"amd64", "arm64"} {
		f, err := p.Compile(BuiltinTarget(arch))
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile("default_" + arch + ".bpf")
		if err != nil {
			t.Fatal(err)
		}
		if f.Flags != 0 || !bytes.Equal(f.Program, program) {
			t.Errorf("default_%s.bpf is not what the compiler makes; go generate ./internal/seccomp", arch)
		}
		t.Logf("%s: %d instructions", arch, f.Len())
	}
	var caps []string
	for _, s := range p.Syscalls {
		for _, where := range []*scope{s.Includes, s.Excludes} {
			if where != nil {
				caps = append(caps, where.Caps...)
			}
			if where != nil && where.MinKernel != nil && BuiltinTarget("").Kernel.before(*where.MinKernel) {
				t.Errorf("a rule depends on kernel %s, which the ready-made program does not know of", where.MinKernel)
			}
		}
	}
	slices.Sort(caps)
	if diff := cmp.Diff(slices.Compact(caps), conditional); diff != "" {
		t.Errorf("capabilities that matter (-profile +here):\n%s", diff)
	}
}

func TestReadyIsForTheUsual(t *testing.T) {
	few := []string{"CAP_CHOWN", usual, "CAP_KILL"}
	if f, ok := Ready(few); !ok || f.Len() == 0 {
		t.Error("none for the usual capabilities")
	}
	for _, c := range conditional {
		if c == usual {
			continue
		}
		if _, ok := Ready(append(slices.Clone(few), c)); ok {
			t.Errorf("one for a process that has %s too", c)
		}
	}
	if _, ok := Ready(nil); ok {
		t.Errorf("one for a process without %s", usual)
	}
}

// TestBuiltinVerdicts asks the compiled default profile about every call of both
// machines and about numbers that are none, and the profile itself.
func TestBuiltinVerdicts(t *testing.T) {
	for _, caps := range [][]string{{usual}, nil, {"CAP_SYS_ADMIN", "CAP_SYS_CHROOT"}, conditional} {
		for arch, audits := range auditArchs {
			target := Target{Arch: arch, Capabilities: caps, Kernel: Kernel{6, 1}}
			resolved := resolveByMoby(t, target)
			f, err := builtinProfile(t).Compile(target)
			if err != nil {
				t.Fatal(err)
			}
			in := newInterpreter(arch)
			about := arguments(resolved, in.lines)
			for _, audit := range append(slices.Clone(audits), 0x14) {
				for _, number := range allNumbers() {
					for _, argument := range append([]uint64{2}, about[strconv.Itoa(int(number))]...) {
						d := data{number: number, arch: audit, args: [6]uint64{argument, argument}}
						if got, want := mustRun(t, f, d), in.verdict(resolved, d); got != want {
							t.Fatalf("%s %v: %+v: %#x, want %#x", arch, caps, d, got, want)
						}
					}
				}
			}
		}
	}
}

// arguments are several for the numbers that some rule with arguments is about.
func arguments(s *specs.LinuxSeccomp, lines map[string][]string) map[string][]uint64 {
	about := map[string][]uint64{}
	for _, call := range s.Syscalls {
		if len(call.Args) == 0 {
			continue
		}
		for _, number := range lines[call.Names[0]][1:] {
			about[number] = []uint64{0, 1, 8, 37, 38, 39, 40, 41, 45, 46, 0x20000, 0x7e020000, 0x10000000, 0xffffffff, 1 << 32, 1<<32 + 39}
		}
	}
	return about
}

func allNumbers() (numbers []uint32) {
	for _, base := range []uint32{0, 0xf0000, 1 << 30, 1 << 31, 0xfffffe00} {
		for n := range uint32(700) {
			numbers = append(numbers, base+n)
		}
	}
	return append(numbers, 0xffffffff)
}

// resolveByMoby is the profile's rules for a target as its own package says. That
// knows only the machine it runs on, so for the other one the conditions on
// architectures are taken from this one's here.
func resolveByMoby(t *testing.T, target Target) *specs.LinuxSeccomp {
	t.Helper()
	if target.Arch == runtime.GOARCH {
		s, err := moby.GetDefaultProfile(&specs.Spec{Process: &specs.Process{
			Capabilities: &specs.LinuxCapabilities{Bounding: target.Capabilities},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, err := builtinProfile(t).Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBuiltinSays is what security needs of it, by name.
func TestBuiltinSays(t *testing.T) {
	in := newInterpreter("amd64")
	f, ok := Ready([]string{usual})
	if !ok || runtime.GOARCH != "amd64" {
		t.Skip("the numbers here are amd64's")
	}
	const eperm, enosys = 0x50001, 0x50026
	for want, names := range map[uint32]string{
		eperm: `unshare setns mount umount2 pivot_root fsopen open_tree move_mount mount_setattr sethostname
			open_by_handle_at kcmp pidfd_getfd bpf perf_event_open keyctl add_key request_key userfaultfd io_uring_setup
			init_module finit_module delete_module kexec_load reboot settimeofday clock_settime swapon acct syslog iopl
			ioperm quotactl move_pages fanotify_init`,
		enosys:     "clone3 listns",
		0x7fff0000: "read chroot ptrace landlock_create_ruleset clone socket execve",
	} {
		for _, name := range strings.Fields(names) {
			number, _ := in.number(name, where{specs.ArchX86_64, 1, 0})
			if got := mustRun(t, f, data{number: number, arch: 0xc000003e}); got != want {
				t.Errorf("%s: %#x, want %#x", name, got, want)
			}
		}
	}
	if got := mustRun(t, f, data{number: 56, arch: 0xc000003e, args: [6]uint64{0x10000000}}); got != eperm {
		t.Errorf("clone of a user namespace: %#x", got)
	}
}

// TestSteps keeps the search short: the kernel walks it once for each number of
// two architectures when the filter is installed (seccomp_cache_prepare).
func TestSteps(t *testing.T) {
	f, _ := Ready([]string{usual})
	most := 0
	for number := range uint32(480) {
		for _, audit := range auditArchs[runtime.GOARCH] {
			_, steps, err := run(f, data{number: number, arch: audit})
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, steps)
		}
	}
	if most > 24 {
		t.Errorf("a verdict takes up to %d instructions", most)
	}
	t.Logf("at most %d instructions for a verdict", most)
}

// TestTablesAreGenerated runs the generator and compares.
func TestTablesAreGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	dir := t.TempDir()
	bin := dir + "/generate"
	if out, err := exec.Command("go", "build", "-o", bin, "./generate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, what := range []string{"tables", "programs"} {
		if out, err := exec.Command(bin, what, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, name := range []string{"syscalls.txt", "default.json", "default.sha256", "default_amd64.bpf", "default_arm64.bpf"} {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes; go generate ./internal/seccomp", name)
		}
	}
}
