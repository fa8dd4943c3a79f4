// SPDX-License-Identifier: Apache-2.0

// Package dockerregistry runs Debian's docker-registry on this machine for a
// test, on a free port, and ends it with the test. It is for tests only.
package dockerregistry

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what the registry asks of who uses it.
type Options struct {
	TLS      bool // with a certificate of a made-up CA
	Password bool // of User
}

// User and Password are the one user's.
const (
	User     = "user"
	Password = "secret"
	// htpasswd is a line for them: bcrypt, of the least cost.
	htpasswd = User + ":$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"
)

// Program is what has to be installed.
const Program = "docker-registry"

// patience ends what would hang.
const patience = 60 * time.Second

// A Registry is one that runs.
type Registry struct {
	Address string // host and port
	CA      []byte // certificate in PEM, of one with TLS

	cmd *exec.Cmd
	log *log
}

// Start starts a registry that keeps everything in dir, which is empty. The
// caller ends it with Stop.
func Start(dir string, o Options) (*Registry, error) {
	r := &Registry{log: &log{listening: make(chan string, 1)}}
	config, err := r.configure(dir, o)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(Program, "serve", file)
	r.cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	out, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no signal from a terminal
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go r.log.read(out)
	select {
	case r.Address = <-r.log.listening:
	case <-time.After(patience):
	}
	if r.Address == "" {
		return nil, fmt.Errorf("%s does not listen: %w\n%s", Program, r.Stop(), r.log)
	}
	return r, nil
}

// Stop ends the registry.
func (r *Registry) Stop() error {
	if err := r.cmd.Process.Kill(); err != nil {
		return err
	}
	r.cmd.Wait() // it was killed
	return nil
}

// Log is what the registry has said.
func (r *Registry) Log() string { return r.log.String() }

func (r *Registry) configure(dir string, o Options) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n")
	fmt.Fprintf(&b, "storage:\n  filesystem: {rootdirectory: %q}\n  delete: {enabled: true}\n", filepath.Join(dir, "data"))
	fmt.Fprintf(&b, "http:\n  addr: 127.0.0.1:0\n  secret: test\n")
	if o.TLS {
		ca, err := certificates(dir)
		if err != nil {
			return "", err
		}
		r.CA = ca
		fmt.Fprintf(&b, "  tls: {certificate: %q, key: %q}\n", filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile))
	}
	if o.Password {
		file := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(file, []byte(htpasswd), 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "auth:\n  htpasswd: {realm: test, path: %q}\n", file)
	}
	return b.String(), nil
}

// A log is what the registry says, of which one line has its address.
type log struct {
	listening chan string

	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *log) read(r io.Reader) {
	address := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		l.mu.Lock()
		l.text.WriteString(lines.Text() + "\n")
		l.mu.Unlock()
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			l.listening <- m[1]
			address = regexp.MustCompile(`$^x`)
		}
	}
	close(l.listening)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
