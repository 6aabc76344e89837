# What is done often, by name. `make test` sets up what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X gatehouse/cli.version=$(VERSION) -X gatehouse/cli.commit=$(COMMIT)
TOOL = go tool -modfile=tools/go.mod
FUZZTIME ?= 1m
BENCH ?= .

.PHONY: build
build: ## the static binary, bin/gatehouse
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/gatehouse .

.PHONY: demo
demo: ## the gateway in front of an echo, with curl lines to paste
	go run . demo

.PHONY: test
test: ## every test, under the race detector, with real servers
	test/services.sh cc redis-server initdb
	go test $$(command -v cc >/dev/null && echo -race || echo 'no C compiler: without -race' >&2) -shuffle=on -timeout 15m ./...

.PHONY: check
check: ## format, vet, lint, the rules of the house, go.mod
	@unformatted=$$($(TOOL) gofumpt -l .); [ -z "$$unformatted" ] || \
		{ printf 'not formatted; `make format` does it:\n%s\n' "$$unformatted"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	go test -count=1 -run '^TestHouse' ./test
	go mod tidy -diff

.PHONY: format
format: ## write what `make check` asks for
	$(TOOL) gofumpt -l -w .

.PHONY: bench
bench: ## testing.B benchmarks as a table; BENCH=Decide for some of them
	@go test -run '^$$' -bench '$(BENCH)' -benchmem ./... | \
		awk '/^pkg:/ {pkg = $$2} /^Benchmark/ {printf "%-26s %s\n", pkg, $$0} /^(FAIL|panic|---)/ {print > "/dev/stderr"}'

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (1m) each
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: faults
faults: ## break the store under running gateways, ten times in each way
	go test -count=1 -v -timeout 30m -run . ./test/faults -faults.rounds 10 -faults.hold 3s | grep -v '"msg":"request"'

.PHONY: docs
docs: ## the generated pages and schema
	go test -count=1 -run "^TestHouseGenerated" ./test -update

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile
