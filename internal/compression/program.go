// SPDX-License-Identifier: Apache-2.0

package compression

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// gunzippers are programs that decompress gzip quicker than we do: igzip (ISA-L)
// three times as fast, unpigz with more than one processor.
var gunzippers = [][]string{{"igzip", "-d", "-c"}, {"unpigz", "-c"}}

// gunzipper is the command line of the first one in PATH, nil without any.
var gunzipper = sync.OnceValue(func() []string {
	for _, g := range gunzippers {
		if path, err := exec.LookPath(g[0]); err == nil {
			return append([]string{path}, g[1:]...)
		}
	}
	return nil
})

// worthProgram reports whether a program is there, and r long enough for one.
func worthProgram(r *bufio.Reader) bool {
	if gunzipper() == nil {
		return false
	}
	_, err := r.Peek(r.Size())
	return err == nil
}

// A program reads a stream through another process. Close ends that.
type program struct {
	cmd    *exec.Cmd
	out    *os.File
	said   bytes.Buffer
	fed    chan error // why it could not be given the whole stream
	result error      // once it has ended
	ended  bool
}

const pipeSize = 1 << 20 // bytes: with the usual 64 KiB the processes wake each other too often

// startProgram lets the command read r. What reads r ends before Close does.
func startProgram(argv []string, r io.Reader) (*program, error) {
	stdin, stdinEnd, err := pipe()
	if err != nil {
		return nil, err
	}
	out, outEnd, err := pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), stdinEnd.Close())
	}
	p := &program{cmd: exec.Command(argv[0], argv[1:]...), out: out, fed: make(chan error, 1)}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, outEnd, &p.said
	err = p.cmd.Start()
	err = errors.Join(err, stdin.Close(), outEnd.Close())
	if err != nil {
		return nil, errors.Join(err, out.Close(), stdinEnd.Close())
	}
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{stdinEnd}, struct{ io.Reader }{r}, make([]byte, 256<<10))
		p.fed <- errors.Join(err, stdinEnd.Close())
	}()
	return p, nil
}

func pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err == nil {
		unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize) // a limit of the user's may be lower
		unix.SetNonblock(int(w.Fd()), true)                // Fd has made it block, and Close would wait for a Write
	}
	return r, w, err
}

func (p *program) Read(b []byte) (int, error) {
	if p.ended {
		return 0, p.result
	}
	n, err := p.out.Read(b)
	if err == io.EOF {
		err = p.end()
	}
	return n, err
}

// end waits for the process and is io.EOF if it has decompressed the stream. What
// follows that it need not have read.
func (p *program) end() error {
	waited, fed := p.cmd.Wait(), <-p.fed
	p.ended, p.result = true, io.EOF
	switch {
	case fed != nil && !errors.Is(fed, unix.EPIPE):
		p.result = fed
	case waited != nil:
		line, _, _ := bytes.Cut(bytes.TrimSpace(p.said.Bytes()), []byte("\n"))
		p.result = fmt.Errorf("gzip: it is damaged or cut off: %s: %w: %q", filepath.Base(p.cmd.Path), waited, line[:min(len(line), 200)])
	}
	return p.result
}

// Close ends the process if it has not ended.
func (p *program) Close() error {
	if !p.ended {
		p.cmd.Process.Kill()
		p.end()
	}
	return p.out.Close()
}
