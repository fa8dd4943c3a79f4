// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

const roleVariable = "STRATA_TEST_ROLE"

// TestMain makes other processes of the test binary: the role says what one
// does, and it reports a line on its output for each step.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Println(err)
		}
		return
	}
	os.Exit(m.Run())
}

func play(role string, args []string) error {
	s, err := store.Open(args[0], options())
	if err != nil {
		return err
	}
	go func() { // whoever started us is gone, or has no more use for us
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	switch role {
	case "add": // ARCHIVE
		return playAdd(s, args[1])
	case "stage": // a half-read archive on descriptor 3
		return playStage(s, os.NewFile(3, "archive"))
	case "keep": // DIFFID
		return playKeep(s, oci.Digest(args[1]))
	case "seal": // DIRECTORY NAME, stops when ready
		return playSeal(s, args[1], args[2])
	case "seal once": // DIRECTORY NAME
		_, err := sealOnce(s, args[1], args[2])
		return err
	case "churn": // PREFIX: adds layers, refers to them, checks them
		return playChurn(s, args[1])
	}
	return fmt.Errorf("no role %q", role)
}

func playAdd(s *store.Store, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	shared, err := s.Share()
	if err != nil {
		return err
	}
	defer shared.Close()
	l, err := s.AddLayer(context.Background(), f, store.ApplyOptions{})
	fmt.Println(l.DiffID, err)
	return nil
}

func playStage(s *store.Store, archive io.Reader) error {
	st, err := s.Stage()
	if err != nil {
		return err
	}
	fmt.Println("staged")
	_, err = st.Apply(context.Background(), archive, store.ApplyOptions{})
	return err
}

func playKeep(s *store.Store, id oci.Digest) error {
	st, err := s.Stage()
	if err != nil {
		return err
	}
	_, err = st.Keep(id)
	fmt.Println("kept", err)
	select {}
}

func playSeal(s *store.Store, dir, name string) error {
	from, err := linux.OpenDir(dir)
	if err != nil {
		return err
	}
	_, err = s.Seal(context.Background(), from, name, store.SealOptions{Ready: func(l store.Layer, _ *durable.Batch) error {
		fmt.Println(l.DiffID)
		select {}
	}})
	return err
}

func sealOnce(s *store.Store, dir, name string) (store.Layer, error) {
	from, err := linux.OpenDir(dir)
	if err != nil {
		return store.Layer{}, err
	}
	defer from.Close()
	shared, err := s.Share()
	if err != nil {
		return store.Layer{}, err
	}
	defer shared.Close()
	return s.Seal(context.Background(), from, name, store.SealOptions{})
}

// process is another process of the test binary.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

func start(t testing.TB, role string, extra []*os.File, args ...string) *process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.ExtraFiles = extra
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, stdin, bufio.NewReader(stdout)}
	t.Cleanup(p.end)
	return p
}

func (p *process) says() string {
	line, _ := p.out.ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

// kill is SIGKILL, as from the kernel when memory runs out.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func (p *process) end() {
	p.stdin.Close()
	p.cmd.Wait()
}
