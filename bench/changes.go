// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A job is what a container did before it stopped. The script runs in the
// container, the same for every contender, with a number as $1 that no other run
// has: equal changes would be equal layers.
type job struct {
	title  string
	script string
}

var (
	tenChanges = job{"10 changes", `
for i in 1 2 3 4 5; do echo $1 $i >/root/new-$i; done
for f in profile passwd group; do echo "# $1" >>/etc/$f; done
rm /etc/issue /etc/issue.net`}

	manyFiles = job{"20,000 new files", `
d=0
while [ $d -lt 200 ]; do
	mkdir -p /srv/$d
	i=0
	while [ $i -lt 100 ]; do echo $1 $d $i >/srv/$d/$i; i=$((i+1)); done
	d=$((d+1))
done`}

	largeFile = job{"one new file of 1 GiB", `head -c 1073741824 /dev/urandom >/srv/large`}
)

// A stopped container, of whichever engine.
type stopped struct {
	name    string
	command func(...string) []string
}

// next is the name of one more container.
func (b *bench) next() string {
	b.serial++
	return "bench-" + strconv.Itoa(b.serial)
}

// stopped runs a job in a new container of strata, which is then stopped.
func (b *bench) stopped(j job, of string) (stopped, error) {
	name := b.next()
	_, err := b.strata("run", "--name", name, "--network", "none", of, "sh", "-ec", j.script, "sh", name)
	return stopped{name, b.strataCommand}, err
}

func (e *engine) stopped(b *bench, j job, of string) (stopped, error) {
	name := b.next()
	_, err := output(e.run("--name", name, of, "sh", "-ec", j.script, "sh", name)...)
	return stopped{name, e.command}, err
}

func (s stopped) remove() error {
	_, err := output(s.command("rm", s.name)...)
	return err
}

// commit measures a commit, and removes its image and the container.
func (s stopped) commit(synced bool) (time.Duration, error) {
	if synced {
		unix.Sync()
	}
	took, err := timed(s.command("commit", s.name, "bench-commit")...)
	if err != nil {
		return 0, err
	}
	if err := s.remove(); err != nil {
		return 0, err
	}
	_, err = output(s.command("rmi", "bench-commit")...)
	return took, err
}

// upperdir is where a container of strata keeps its changes.
func (b *bench) upperdir(s stopped) (string, error) {
	text, err := b.strata("inspect", s.name)
	if err != nil {
		return "", err
	}
	var documents []struct {
		GraphDriver struct{ Data struct{ UpperDir string } }
	}
	if err := json.Unmarshal([]byte(text), &documents); err != nil || len(documents) != 1 || documents[0].GraphDriver.Data.UpperDir == "" {
		return "", fmt.Errorf("inspect %s: it names no upperdir", s.name)
	}
	return documents[0].GraphDriver.Data.UpperDir, nil
}
