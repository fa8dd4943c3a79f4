// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain becomes the forwarding process of TestForwardSignals in a child: the
// handlers are the process's, and cannot be taken back from under Go.
func TestMain(m *testing.M) {
	if name := os.Getenv(replaceEnv); name != "" {
		os.Exit(becomeReplacement(name))
	}
	if script := os.Getenv("SPAWN_TEST_FORWARD"); script != "" {
		os.Exit(forwardTo(script))
	}
	os.Exit(m.Run())
}

// forwardTo catches signals and forwards them to a shell that runs script. For
// a script that begins with "#" it raises one before there is a process, and
// names the process when standard input ends.
func forwardTo(script string) int {
	if err := CatchSignals(unix.SIGTERM, unix.SIGUSR1, unix.SIGINT); err != nil {
		fmt.Println(err)
		return 1
	}
	early := script[0] == '#'
	if early {
		unix.Kill(os.Getpid(), unix.SIGUSR1)
	}
	l := new(List)
	none := uint64(0)
	l.Add(Call{Name: "unblock", Nr: unix.SYS_RT_SIGPROCMASK, Args: [6]uintptr{2, Pin(l, &none), 0, 8}})
	l.Add(shell(l, script))
	p, err := Start(l, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if early {
		os.Stdin.Read(make([]byte, 1))
	}
	ForwardSignals(p)
	status, _ := p.Wait()
	StopForwarding()
	unix.Kill(os.Getpid(), unix.SIGTERM) // kept, and ends nobody
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func TestForwardSignals(t *testing.T) {
	const wait = "; echo ready; while :; do sleep 0.01; done"
	cases := map[string]struct {
		script string
		send   []unix.Signal
		want   string
		exit   int
	}{
		"at once":            {"trap 'echo term; exit 3' TERM" + wait, []unix.Signal{unix.SIGTERM}, "ready term", 3},
		"kept until named":   {"# \ntrap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.01; done", nil, "ready usr1", 4},
		"the third one ends": {"trap 'echo int' INT; trap 'echo term' TERM" + wait, []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGINT}, "ready int term", 128 + 9},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "SPAWN_TEST_FORWARD="+c.script)
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			var got []string
			for lines.Scan() {
				got = append(got, lines.Text())
				in.Close()
				if n := len(got); n <= len(c.send) { // one for each line: equal signals that wait are one
					cmd.Process.Signal(c.send[n-1])
				}
			}
			cmd.Wait()
			if s := strings.Join(got, " "); s != c.want || cmd.ProcessState.ExitCode() != c.exit {
				t.Errorf("got %q, exit %d; want %q, %d", s, cmd.ProcessState.ExitCode(), c.want, c.exit)
			}
		})
	}
}
