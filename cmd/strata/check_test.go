// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
)

// A wrong is something that happens to a store: the script that does it, the
// lines that check says, what --repair says, and the lines that are then left.
type wrong struct {
	name, script, found, repaired, left string
	leftover                            bool // no damage: the code is 0
}

const (
	makesAnew = "layer sha256:$ONE: it is damaged; --repair makes it anew from the blob that came with it\n"
	madeAnew  = "layer sha256:$ONE: it is damaged: made anew from the blob that came with it\n"
	sealedBad = "layer sha256:$SEALED: it is damaged, and needed by image img:latest, container web; remove them, run strata gc, and pull or load the images again\n"
)

func layerWrong(name, script, what string) wrong {
	line := "layer sha256:$ONE: " + what + "\n"
	return wrong{name: name, script: script, found: line + makesAnew, repaired: line + madeAnew}
}

var wrongs = []wrong{
	{name: "nothing", script: "true"},

	// Layers.
	layerWrong("mode of a file", "chmod 755 layers/$ONE/tree/su", "su: its mode is 0755, the archive has 4755"),
	layerWrong("owner", "chown 7:8 layers/$ONE/tree/tmp", "tmp: its owner is 7:8, the archive has 0:0"),
	layerWrong("attribute", "setfattr -n user.a -v b layers/$ONE/tree/etc/passwd", "etc/passwd: it has the attribute user.a, the archive does not"),
	layerWrong("file gone", "rm layers/$ONE/tree/su; touch -d @1600000000 layers/$ONE/tree", "su: it is missing"),
	layerWrong("file more", "touch layers/$ONE/tree/more; touch -d @1600000000 layers/$ONE/tree", "more: the archive does not have it"),
	layerWrong("archive gone", "rm layers/$ONE/archive.gz", "archive.gz: no such file or directory"),
	layerWrong("archive cut", "truncate -s 100 layers/$ONE/archive.gz", "its archive cannot be made again: read record: unexpected EOF"),
	{
		name: "content", script: "printf X | dd of=layers/$ONE/tree/su conv=notrunc 2>/dev/null; touch -d @1600000000 layers/$ONE/tree/su; touch layers/$ONE/archive.gz",
		found:    "layer sha256:$ONE: the content of a file has changed: the archive's digest is now sha256:$CHANGED\n" + makesAnew,
		repaired: "layer sha256:$ONE: the content of a file has changed: the archive's digest is now sha256:$CHANGED\n" + madeAnew,
	},
	{
		name: "layer without a blob", script: "chmod 600 layers/$SEALED/tree/x",
		found:    "layer sha256:$SEALED: x: its mode is 0600, the archive has 0644\n" + sealedBad,
		repaired: "layer sha256:$SEALED: x: its mode is 0600, the archive has 0644\n" + sealedBad,
		left:     "layer sha256:$SEALED: x: its mode is 0600, the archive has 0644\n" + sealedBad,
	},
	{
		name: "layer gone", script: "rm -r layers/$TWO",
		found: `image app:latest: its layer sha256:$TWO is missing; pull or load it again, or remove it (strata rmi)
container idle: its layer sha256:$TWO is missing; pull or load an image that has it, or remove the container`,
		repaired: `image app:latest: its layer sha256:$TWO is missing; pull or load it again, or remove it (strata rmi)
container idle: its layer sha256:$TWO is missing; pull or load an image that has it, or remove the container`,
		left: `image app:latest: its layer sha256:$TWO is missing; pull or load it again, or remove it (strata rmi)
container idle: its layer sha256:$TWO is missing; pull or load an image that has it, or remove the container`,
	},
	{
		name: "unneeded layer", script: "d=0000000000000000000000000000000000000000000000000000000000000000; cp -a layers/$SEALED layers/$d",
		found: `layer sha256:0000000000000000000000000000000000000000000000000000000000000000: the content of files has changed, probably of x: the archive's digest is now sha256:$SEALED
layer sha256:0000000000000000000000000000000000000000000000000000000000000000: it is damaged, and nothing needs it; --repair moves it to the trash`,
		repaired: `layer sha256:0000000000000000000000000000000000000000000000000000000000000000: the content of files has changed, probably of x: the archive's digest is now sha256:$SEALED
layer sha256:0000000000000000000000000000000000000000000000000000000000000000: it is damaged, and nothing needs it: moved to the trash`,
	},
	{
		name: "rest of a commit", script: "d=0000000000000000000000000000000000000000000000000000000000000000; mkdir -m 700 layers/$d; cp -p layers/$ONE/layer.json layers/$d", leftover: true,
		found:    "layer sha256:0000000000000000000000000000000000000000000000000000000000000000: a commit was interrupted before it had its tree; --repair moves it to the trash",
		repaired: "layer sha256:0000000000000000000000000000000000000000000000000000000000000000: a commit was interrupted before it had its tree: moved to the trash",
	},
	{
		name: "record of a layer", script: "truncate -s 20 layers/$ONE/layer.json",
		found:    "layer sha256:$ONE: layer.json: unexpected end of JSON input; --repair makes it anew",
		repaired: "layer sha256:$ONE: layer.json: unexpected end of JSON input: made anew",
	},
	{
		name: "record of a committed layer", script: "rm layers/$SEALED/layer.json",
		found:    "layer sha256:$SEALED: layer.json: no such file or directory; --repair makes it anew",
		repaired: "layer sha256:$SEALED: layer.json: no such file or directory: made anew",
	},
	{
		name: "archive of a committed layer", script: "truncate -s 40 layers/$SEALED/archive.gz",
		found:    "layer sha256:$SEALED: its archive cannot be made again: read record: not a record of an archive; --repair makes it anew",
		repaired: "layer sha256:$SEALED: its archive cannot be made again: read record: not a record of an archive: made anew",
	},
	{
		name: "wrong record", script: `sed -i 's/"entries":[0-9]*/"entries":77/' layers/$ONE/layer.json; chmod 600 layers/$ONE/layer.json`,
		found:    "layer sha256:$ONE: layer.json: it does not say what the archive has; --repair makes it anew",
		repaired: "layer sha256:$ONE: layer.json: it does not say what the archive has: made anew",
	},
	{
		name: "kept blob", script: "printf X | dd of=layers/$ONE/blob-$BLOB bs=1 seek=30 conv=notrunc 2>/dev/null",
		found:    "layer sha256:$ONE: blob-$BLOB: its content has the digest sha256:$CHANGED; --repair removes it",
		repaired: "layer sha256:$ONE: blob-$BLOB: its content has the digest sha256:$CHANGED: removed",
	},
	{
		name: "usage", script: "echo nonsense > layers/$ONE/usage.json",
		found:    "layer sha256:$ONE: usage.json: invalid character 'o' in literal null (expecting 'u'); --repair removes it",
		repaired: "layer sha256:$ONE: usage.json: invalid character 'o' in literal null (expecting 'u'): removed",
	},
	{
		name: "wrong usage", script: `echo '{"version":1,"apparent":1,"allocated":1,"inodes":1}' > layers/$ONE/usage.json`,
		found:    "layer sha256:$ONE: usage.json: it does not say what the tree takes; --repair removes it",
		repaired: "layer sha256:$ONE: usage.json: it does not say what the tree takes: removed",
	},
	{
		name: "implied directories", script: `echo '{"version":1,"directories":[]}' > layers/$TWO/implied.json`,
		found:    "layer sha256:$TWO: implied.json: it does not say what the archive has; --repair makes it anew",
		repaired: "layer sha256:$TWO: implied.json: it does not say what the archive has: made anew",
	},
	{
		name: "completion", script: "chmod 755 layers/$TWO/implied/$CHAIN/tmp",
		found:    "layer sha256:$TWO: implied/$CHAIN: it is not what the layers beneath show; --repair removes it: it is made anew at the next use",
		repaired: "layer sha256:$TWO: implied/$CHAIN: it is not what the layers beneath show: removed: it is made anew at the next use",
	},
	{
		name: "no completion", script: "rm -r layers/$TWO/implied/$CHAIN; touch layers/$TWO/implied/$CHAIN",
		found:    "layer sha256:$TWO: implied/$CHAIN: it says that nothing is to be completed, and something is; --repair removes it: it is made anew at the next use",
		repaired: "layer sha256:$TWO: implied/$CHAIN: it says that nothing is to be completed, and something is: removed: it is made anew at the next use",
	},

	// Images.
	{
		name: "config", script: "truncate -s 0 images/blobs/sha256/$APP",
		found: `blob sha256:$APP: its content has the digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; --repair removes it
image app:latest: its config sha256:$APP is damaged; --repair removes the name: pull or load the image again
cache images/starts/$MANIFEST: its image is gone; --repair removes it`,
		repaired: `blob sha256:$APP: its content has the digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855: removed
image app:latest: its config sha256:$APP is damaged: the name is removed: pull or load the image again
cache images/starts/$MANIFEST: its image is gone: removed`,
	},
	{
		name: "manifest gone", script: "rm images/blobs/sha256/$MANIFEST",
		found: `image app:latest: its manifest sha256:$MANIFEST is missing; --repair removes the name: pull or load the image again
cache images/starts/$MANIFEST: its image is gone; --repair removes it
container idle: the manifest sha256:$MANIFEST of its image is missing or damaged; pull or load the image app again, or remove the container`,
		repaired: `image app:latest: its manifest sha256:$MANIFEST is missing: the name is removed: pull or load the image again
cache images/starts/$MANIFEST: its image is gone: removed
container idle: the manifest sha256:$MANIFEST of its image is missing or damaged; pull or load the image app again, or remove the container`,
		left: `container idle: the manifest sha256:$MANIFEST of its image is missing or damaged; pull or load the image app again, or remove the container`,
	},
	{
		name: "name", script: "echo '{}' > images/names/$NAME",
		found:    "name $NAME: version 0, not 1; --repair removes it",
		repaired: "name $NAME: version 0, not 1: removed",
	},
	{
		name: "cache of a start", script: "printf X | dd of=images/starts/$MANIFEST bs=1 seek=30 conv=notrunc 2>/dev/null",
		found:    "cache images/starts/$MANIFEST: it does not say what the image says; --repair removes it",
		repaired: "cache images/starts/$MANIFEST: it does not say what the image says: removed",
	},
	{
		name: "cache of filters", script: "truncate -s 30 seccomp/$FILTER",
		found:    "cache seccomp/$FILTER: it is no compiled filter; --repair removes it",
		repaired: "cache seccomp/$FILTER: it is no compiled filter: removed",
	},

	// Containers.
	{
		name: "record of a container", script: "truncate -s 40 containers/$WEB/config.json",
		found:    "container ${WEB:}: config.json: unexpected end of JSON input; what it has written is in $ROOT/containers/$WEB/upper; strata rm -f ${WEB:} removes it",
		repaired: "container ${WEB:}: config.json: unexpected end of JSON input; what it has written is in $ROOT/containers/$WEB/upper; strata rm -f ${WEB:} removes it",
		left:     "container ${WEB:}: config.json: unexpected end of JSON input; what it has written is in $ROOT/containers/$WEB/upper; strata rm -f ${WEB:} removes it",
	},
	{
		name: "state", script: "truncate -s 3 containers/$WEB/state.json",
		found:    "container ${WEB:}: state.json: unexpected end of JSON input; --repair makes it anew",
		repaired: "container ${WEB:}: state.json: unexpected end of JSON input: made anew",
	},
	{
		name: "limits", script: "truncate -s 3 containers/$WEB/resources.json",
		found:    "container ${WEB:}: resources.json: unexpected end of JSON input; --repair removes it: the limits are those of its record again",
		repaired: "container ${WEB:}: resources.json: unexpected end of JSON input: removed: the limits are those of its record again",
	},
	{
		name: "upperdir gone", script: "rm -r containers/$IDLE/upper",
		found:    "container ${IDLE:}: upper: it is missing; --repair makes an empty one",
		repaired: "container ${IDLE:}: upper: it is missing: an empty one is made",
	},
	{
		name: "name gone", script: "rm names/web",
		found:    "container ${WEB:}: its name web is not reserved; --repair reserves it",
		repaired: "container ${WEB:}: its name web is not reserved: reserved",
	},
	{
		name: "dangling name", script: "ln -s ../containers/0000000000000000000000000000000000000000000000000000000000000000 names/other", leftover: true,
		found:    "name other: container 000000000000 is gone; --repair removes it",
		repaired: "name other: container 000000000000 is gone: removed",
	},
	{
		name: "second name", script: "ln -s ../containers/$WEB names/other",
		found:    "name other: it is a link to ../containers/$WEB, which is no container of that name; --repair removes it",
		repaired: "name other: it is a link to ../containers/$WEB, which is no container of that name: removed",
	},
	{
		name: "container that was never finished", script: "d=0000000000000000000000000000000000000000000000000000000000000000; mkdir -m 700 containers/$d containers/$d/upper; touch -d @1600000000 containers/$d", leftover: true,
		found:    "container 000000000000: it has no record and nobody runs it; --repair moves it to the trash",
		repaired: "container 000000000000: it has no record and nobody runs it: moved to the trash",
	},
	{
		name: "container without a record", script: "rm containers/$IDLE/config.json; touch containers/$IDLE/upper/precious; touch -d @1600000000 containers/$IDLE", leftover: true,
		found:    "container ${IDLE:}: it has no record and nobody runs it; what it has written is in $ROOT/containers/$IDLE/upper; strata gc removes it",
		repaired: "container ${IDLE:}: it has no record and nobody runs it; what it has written is in $ROOT/containers/$IDLE/upper; strata gc removes it",
		left:     "container ${IDLE:}: it has no record and nobody runs it; what it has written is in $ROOT/containers/$IDLE/upper; strata gc removes it",
	},
	{
		name: "interrupted commit", script: `sed -i 's/"config":/"sealing":"sha256:'$SEALED'","config":/' containers/$WEB/config.json; chmod 600 containers/$WEB/config.json`, leftover: true,
		found:    "container ${WEB:}: a commit was interrupted; --repair settles it",
		repaired: "container ${WEB:}: a commit was interrupted: settled",
	},
	{
		name: "mount of an earlier boot", script: "echo 'x /nowhere' > containers/$WEB/mounted; chmod 600 containers/$WEB/mounted", leftover: true,
		found:    "container ${WEB:}: mounted: nothing is mounted there any more; --repair removes it",
		repaired: "container ${WEB:}: mounted: nothing is mounted there any more: removed",
	},

	// The store.
	{
		name: "staging directory", script: "mkdir -m 700 staging/0123456789abcdef; touch staging/0123456789abcdef/keep-$ONE", leftover: true,
		found:    "staging/0123456789abcdef: whoever made it is gone; --repair moves it to the trash",
		repaired: "staging/0123456789abcdef: whoever made it is gone: moved to the trash",
	},
	{
		name: "temporary file", script: "touch -d @1600000000 images/names/.tmp-0123456789abcdef", leftover: true,
		found:    "store: images/names/.tmp-0123456789abcdef: a write was interrupted; --repair removes it",
		repaired: "store: images/names/.tmp-0123456789abcdef: a write was interrupted: removed",
	},
	{
		name: "mount point", script: "mkdir -m 700 mounts/$WEB; touch -d @1600000000 mounts/$WEB", leftover: true,
		found:    "mounts/$WEB: nothing is mounted there any more; --repair removes it",
		repaired: "mounts/$WEB: nothing is mounted there any more: removed",
	},
	{
		name: "directory of the store", script: "rmdir mounts",
		found:    "store: mounts/: it is missing; --repair makes it anew",
		repaired: "store: mounts/: it is missing: made anew",
	},
	{
		name: "open to others", script: "chmod 755 layers; chmod 644 images/names/$NAME",
		found: `store: images/names/$NAME: its mode is 0644 and not 0600; --repair sets it
store: layers: its mode is 0755 and not 0700; --repair sets it`,
		repaired: `store: images/names/$NAME: its mode is 0644 and not 0600: set
store: layers: its mode is 0755 and not 0700: set`,
	},
	{
		name: "somebody else's file", script: "echo > empty/x; chown 7 empty",
		found: `store: empty: it belongs to user 7 and not to 0; give it back (chown 0)
store: empty/x: it does not belong here; move it away`,
		repaired: `store: empty: it belongs to user 7 and not to 0; give it back (chown 0)
store: empty/x: it does not belong here; move it away`,
		left: `store: empty: it belongs to user 7 and not to 0; give it back (chown 0)
store: empty/x: it does not belong here; move it away`,
	},
	{
		name: "lock that is none", script: "mkdir -m 700 containers/$WEB/update.lock.d; rm -f containers/$WEB/update.lock; mv containers/$WEB/update.lock.d containers/$WEB/update.lock",
		found:    "store: containers/$WEB/update.lock: it is a directory and not a file; move it away",
		repaired: "store: containers/$WEB/update.lock: it is a directory and not a file; move it away",
		left:     "store: containers/$WEB/update.lock: it is a directory and not a file; move it away",
	},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	s := newSample(t, newPlace(t))
	for _, w := range wrongs {
		t.Run(w.name, func(t *testing.T) {
			s.copied(t).wrong(w)
		})
	}
}

// wrong damages the store, looks for that, mends it and looks again.
func (s *sample) wrong(w wrong) {
	s.t.Helper()
	s.shell(w.script)
	code := func(lines string) int {
		if lines == "" || w.leftover {
			return 0
		}
		return 1
	}
	s.check(code(w.found), w.found)
	s.check(code(w.left), w.repaired, "--repair")
	s.check(code(w.left), w.left)
}
