// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

const parentEnv = "SPAWN_TEST_PARENT"

// TestChildEndsWithParent kills a process whose child has not executed yet.
func TestChildEndsWithParent(t *testing.T) {
	for name, be := range map[string]func(){"waits": waitingParent, "asks too late": lateParent} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv(parentEnv) != "" {
				be()
			}
			childEnds(t)
		})
	}
}

func childEnds(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), parentEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewReader(out)
	line, _ := lines.ReadString('\n')
	var pid int
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("the parent wrote %q", line)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	defer unix.Close(fd)
	cmd.Process.Kill()
	cmd.Process.Wait()
	in.Close() // what a child may have waited for instead of its end
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); n != 1 {
		t.Errorf("the child of a killed parent lives: poll gives %d, %v", n, err)
	}
	if said, _ := io.ReadAll(lines); len(said) > 0 {
		t.Errorf("the child of a killed parent executed its program, which wrote %q", said)
	}
	unix.Wait4(pid, nil, 0, nil) // where it has become ours
}

// waitingParent prints the process id of a child that waits, and waits too.
func waitingParent() {
	c, err := Begin(new(List), Options{})
	if err == nil {
		var p *Process
		if p, err = c.Process(); err == nil {
			fmt.Println(p.Pid)
		}
	}
	if err != nil {
		fmt.Println("failed:", err)
	}
	unix.Pause()
}

// lateParent has a child that changes its ids and so takes the parent-death
// signal away, prints its process id, and asks for the signal again when standard
// input has ended.
func lateParent() {
	pid := make([]byte, 16)
	l := new(List)
	at := l.Bytes(pid)
	l.Add(
		Call{Name: "setresuid", Nr: unix.SYS_SETRESUID, Args: [6]uintptr{65534, 65534, 65534}},
		Call{Name: "write", Nr: unix.SYS_WRITE, Args: [6]uintptr{1, at, uintptr(len(pid))}},
		Call{Name: "read", Nr: unix.SYS_READ, Args: [6]uintptr{0, l.Bytes(make([]byte, 1)), 1}},
		DieWithParent(),
		shell(l, "echo executed"),
	)
	c, err := Begin(new(List), Options{})
	if err == nil {
		var p *Process
		if p, err = c.Process(); err == nil {
			copy(pid, fmt.Sprintf("%*d\n", len(pid)-1, p.Pid))
			_, err = c.Continue(l)
		}
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}
