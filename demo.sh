#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job, for real, on a store of its own that is gone afterwards.
set -eu

if [ "$(id -u)" != 0 ]; then
	echo "demo: containers are started by root for now: sudo make demo" >&2
	exit 1
fi
PATH=$(cd "$(dirname "$0")" && pwd)/bin:$PATH
STRATA_ROOT=$(mktemp -d "${TMPDIR:-/var/tmp}/strata-demo-XXXXXX")
export PATH STRATA_ROOT
trap 'strata gc --quiet; rm -rf "$STRATA_ROOT"' EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; sh -c "$*"; }

say 'Two containers over one read-only image; each writes something.'
run "strata run --name one mini sh -c 'echo hello > /tmp/tmpfile.txt'"
run "strata run --name two mini sh -c 'echo \"export EDITOR=vi\" >> /etc/profile'"

say 'Each sees its own change and not the other one'\''s; the layer they share has neither.'
run 'strata diff one'
run 'strata diff two'
run "strata run --rm mini sh -c 'ls /tmp; grep -c EDITOR /etc/profile || echo the image is as it was'"

say 'A commit makes an image of the changes. It copies nothing.'
run 'strata commit -m "an editor" two edited'
run "strata run --rm edited grep EDITOR /etc/profile"
run 'strata history edited'

say '200 containers from one image.'
# shellcheck disable=SC2016 # for the shell that run starts
run 'for i in $(seq 200); do strata run --name w-$i mini sh -c "echo $i > /tmp/number"; done'
run 'strata df'
run 'strata df --verbose --format json | grep w-200'

say 'What a person would type for one of them:'
run 'strata run --rm --explain mini true | cut -c 1-110'
