// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCheckBeside runs check again and again beside 32 commands that change the
// store, and finds nothing wrong.
func TestCheckBeside(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("create", "--name", "stays", "bb", "true")
	stop := make(chan struct{})
	looked := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				looked <- n
				return
			default:
			}
			if r := p.try("check", "-q"); r.code != 0 || r.stdout != "" || r.stderr != "" {
				t.Errorf("check beside others: %+v", r)
			}
		}
	}()
	for i, r := range together(p, 32, besides) {
		if r.code != 0 {
			t.Errorf("command %d beside check: %+v", i, r)
		}
	}
	close(stop)
	if n := <-looked; n == 0 {
		t.Error("check had no turn")
	}
	p.must("gc", "-q")
	if r := p.try("check", "-q"); r.code != 0 || r.stdout != "" {
		t.Errorf("check after all: %+v", r)
	}
}

// besides are commands that leave and take away all that a store holds.
func besides(i int) []string {
	switch name := fmt.Sprintf("c%d", i); i % 8 {
	case 0:
		return []string{"run", "--rm", "bb", "sh", "-c", "echo x > /x"}
	case 1:
		return []string{"run", "--name", name, "bb", "sh", "-c", "echo " + name + " > /x"}
	case 2:
		return []string{"create", "--name", name, "bb", "true"}
	case 3:
		return []string{"import", os.Getenv(rootfsEnv) + ".tar", "image:" + name}
	case 4:
		return []string{"tag", "bb", "bb:" + name}
	case 5:
		return []string{"commit", "stays", "stays:" + name} // one after the other, or "in use"
	case 6:
		return []string{"gc", "-q"}
	}
	return []string{"df"}
}

// TestCheckKilled kills a repair at random moments. However far it has come, the
// next one ends what it has begun, and nothing that a container wrote is lost.
func TestCheckKilled(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	sample := newSample(t, newPlace(t))
	var repairTime time.Duration
	for round := range 6 {
		s := sample.copied(t)
		s.shell(`chmod 755 layers/$ONE/tree/su; truncate -s 3 layers/$TWO/layer.json; rm -r layers/$TWO/implied/$CHAIN; touch layers/$TWO/implied/$CHAIN
			truncate -s 9 seccomp/$FILTER containers/$WEB/state.json containers/$WEB/resources.json images/starts/$MANIFEST
			mkdir -m 700 staging/0123456789abcdef; ln -s ../containers/0000000000000000000000000000000000000000000000000000000000000000 names/other`)
		began := time.Now()
		if round > 0 { // the first is not killed, and says how long it takes
			killAt(t, s.start("check", "--repair"), time.Duration(rand.Int64N(int64(repairTime))))
		}
		if r := s.try("check", "-q", "--repair"); r.code != 0 || r.stderr != "" || strings.Contains(r.stdout, "not repaired") {
			t.Errorf("repair after a kill: %+v", r)
		}
		if round == 0 {
			repairTime = time.Since(began)
		}
		s.check(0, "")
		written, err := os.ReadFile(filepath.Join(s.root, "containers", s.names["WEB"], "upper/x"))
		if string(written) != "x\n" {
			t.Errorf("what web wrote: %q, %v", written, err)
		}
		s.must("gc", "-q")
		s.check(0, "")
		if trash, _ := filepath.Glob(s.root + "/trash/*"); len(trash) > 0 {
			t.Errorf("in the trash: %q", trash)
		}
	}
}

// TestCheckUser checks the stores of ordinary users, with subordinate ids and
// with one id alone.
func TestCheckUser(t *testing.T) {
	t.Parallel()
	for name, subordinate := range map[string]bool{"subordinate ids": true, "one id": false} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t, newUserPlace(t, subordinate))
			s.check(0, "")
			for _, w := range wrongs {
				switch w.name {
				case "mode of a file", "attribute", "completion", "state", "interrupted commit", "staging directory":
					t.Run(w.name, func(t *testing.T) { s.copied(t).wrong(w) })
				}
			}
		})
	}
}

// TestCheckLeavesWhatIsUsed repairs a layer only while nobody reads it.
func TestCheckLeavesWhatIsUsed(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	s := newSample(t, newPlace(t))
	s.shell("chmod 755 layers/$ONE/tree/su")
	const wrong = "layer sha256:$ONE: su: its mode is 0755, the archive has 4755\n"
	s.must("mount", "app")
	s.check(1, wrong+"layer sha256:$ONE: it is damaged: not repaired: restore layer sha256:$ONE: image app:latest is mounted; unmount it (strata umount app:latest) and try again", "--repair")
	s.must("umount", "app")
	s.must("mount", "idle")
	s.check(1, wrong+"layer sha256:$ONE: it is damaged: not repaired: restore layer sha256:$ONE: container idle is mounted at $ROOT/mounts/$IDLE; unmount it (strata umount idle) and try again", "--repair")
	s.must("umount", "idle")
	s.check(0, wrong+madeAnew, "--repair")
	s.check(0, "")
}
