# SPDX-License-Identifier: Apache-2.0

GO       ?= go
VERSION  ?= 0.1.0-dev
export CGO_ENABLED = 0
GOFLAGS_BUILD = -trimpath -ldflags='-s -w -X main.version=$(VERSION)'

.PHONY: all mini build demo test test-long test-unit test-vm lint fuzz bench deps clean

all: build

# The embedded image, compiled from Go; `go build ./...` works without it.
mini: internal/mini/data/mini.tar.gz

internal/mini/data/mini.tar.gz: $(shell find mini -name '*.go' -o -name 'go.*')
	cd mini && $(GO) run ./rootfs -o ../$@

build: mini
	$(GO) build $(GOFLAGS_BUILD) -o bin/ ./cmd/strata ./cmd/strata-remote

# The main job, as a transcript.
demo: build
	./demo.sh

deps:
	./.ci/deps

test: deps build
	$(GO) vet ./... && cd mini && $(GO) vet ./...
	$(GO) test -count=1 ./... # not from the cache: it does not know the programs that tests build
	cd mini && $(GO) test ./...

# Debian 12's kernel in QEMU, without KVM: another kernel, cgroup v2. Some ten
# minutes of processor time.
test-vm: mini
	./.ci/deps vm
	$(GO) run ./vm

# The tests that look for races, in their long form: thousands of rounds, an hour.
test-long: deps build
	STRATA_TEST_LONG=1 $(GO) test -count=1 -timeout 3h -v -run 'Swapped|Overwritten|Cycles|KilledRun|KilledExec' ./cmd/strata

lint:
	./.ci/lint

# FUZZTIME for each fuzz target in turn.
FUZZTIME ?= 30s
fuzz:
	./.ci/fuzz $(FUZZTIME)

bench: build
	./bench/run

clean:
	rm -rf bin internal/mini/data/mini.tar.gz
